//===- Random.h - weights whose values nobody ships -----------------------===//
#ifndef MOE_WEIGHTS_RANDOM_H
#define MOE_WEIGHTS_RANDOM_H

#include "dialects/moe/Moe.h"
#include "runtime/include/moe/random_values.h"

#include <optional>

namespace mlir::moe {

/// What the runtime draws from.
moe_random_t getRandom(RandomAttr attr);
/// moe_dtype_t of the elements.
uint32_t getRandomDtype(RandomAttr attr);

/// Random values in place of `recipe`, the value of a weight called `name`: of its type, with the deviation that a matrix of
/// its size starts training with (sqrt(2 / (rows + columns)) of the first piece), and a seed of the name's. Codes of 8 bits
/// fill their range, scales carry the deviation. Nullopt where that has no meaning: integers, 8-bit scales, pieces of files.
std::optional<RandomAttr> drawInstead(Attribute recipe, StringRef name);

/// `recipe` with random values in place of the floats that it reads from files, and of dequantized ones; the steps stay.
Attribute randomizePieces(Attribute recipe, StringRef name, bool isGain);

} // namespace mlir::moe

#endif // MOE_WEIGHTS_RANDOM_H
