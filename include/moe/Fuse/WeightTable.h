//===- WeightTable.h - new weights as recipes over old ones ----------------===//
//
// A "bank" is a constant tensor while it is being reshaped: either a recipe (when it came from moe.get_weight), which
// costs nothing at run time, or a tensor value, which is sliced and transposed by tensor ops.
//
//===----------------------------------------------------------------------===//
#ifndef MOE_FUSE_WEIGHTTABLE_H
#define MOE_FUSE_WEIGHTTABLE_H

#include "moe/Fuse/Passes.h"

namespace mlir::moe {

/// A tensor to be sliced, transposed and reshaped: a recipe or a value.
struct Bank {
  Attribute recipe; ///< #moe.piece or #moe.recipe, or null
  Value value;      ///< the tensor where recipe is null
  StringRef name;   ///< symbol of the weight it came from
  RankedTensorType type() const { return recipe ? getRecipeType(recipe) : cast<RankedTensorType>(value.getType()); }
};

/// Recipe steps; identities return the bank itself. Values get the same result by tensor ops at `b`.
Bank sliceBank(OpBuilder &b, Location loc, Bank bank, ArrayRef<int64_t> offsets, ArrayRef<int64_t> sizes,
               ArrayRef<int64_t> strides);
Bank transposeBank(OpBuilder &b, Location loc, Bank bank, ArrayRef<int64_t> permutation);
/// A reshape of a value needs a static type.
Bank reshapeBank(OpBuilder &b, Location loc, Bank bank, ArrayRef<int64_t> shape);
/// Only for recipes: a cast and the panel layout [.., N, K] -> [.., ceil(N/panel), K, panel].
Bank castBank(Bank bank, Type element);
Bank packBank(Bank bank, int64_t panel);
/// Only for recipes: the scales of the bank's blocks for codes of that type (`scales`: f32 or f8E8M0FNU), and the codes made
/// with them. The bank's values are widened to f32 first.
Bank scalesBank(Bank bank, ArrayRef<int64_t> block, Type codes, Type scales);
Bank quantizeBank(Bank bank, Bank scales, Type codes);
/// The recipe below a widening cast from bf16 or f16 where nothing but data movement sits above it; else null.
Bank narrowBank(Bank bank);

/// The moe.weight symbols of a module: finds a weight by its recipe, adds new ones. Linear in the number of weights.
class WeightTable {
public:
  explicit WeightTable(ModuleOp module);
  /// The bank of a tensor: the recipe of a moe.get_weight, else the value.
  Bank bankOf(Value tensor);
  /// A value of the bank: moe.get_weight of an existing or new weight, or the value itself.
  Value materialize(OpBuilder &b, Location loc, Bank bank);

private:
  ModuleOp module;
  SymbolTable symbols;
  DenseMap<Attribute, StringAttr> byRecipe;
};

} // namespace mlir::moe

#endif // MOE_FUSE_WEIGHTTABLE_H
