//===- Parts.h - the steps of emitting ------------------------------------===//
#ifndef MOE_LIB_EMIT_PARTS_H
#define MOE_LIB_EMIT_PARTS_H

#include "dialects/moe/Moe.h"
#include "moe/Emit/Emit.h"
#include "moe/Support/LaunchRecord.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/IR/Module.h"

namespace mlir::moe {

/// An object file in memory, or device code.
using Bytes = SmallVector<char, 0>;

/// The GPU image of a module.
struct DeviceImage {
  std::string chip, format; ///< "sm_90a", "cubin" or "ptx"
  Bytes data;
};

/// Translates one inner module and makes machine code of it. Runs on any thread. `isa` names the processor
/// ("x86-64-v4"); `prefix` is put before the names of its kernels. False with a message in `error` on failure.
bool compileForCpu(ModuleOp module, StringRef isa, StringRef prefix, bool isHost, Bytes &object, std::string &error);

/// What ptxas says of a kernel.
struct Resources {
  int64_t registers = 0, shared = 0, stack = 0, spillStores = 0,
          spillLoads = 0;         ///< bytes but for registers; shared: static
  std::vector<std::string> notes; ///< "C7510: Potential Performance Loss: ...": products that ptxas serialized
};
/// Reads the messages of `ptxas -v`. Notes that name no kernel are under "".
llvm::StringMap<Resources> parsePtxas(StringRef text);

/// The device's code.
struct DeviceCode {
  std::vector<DeviceImage> images;
  bool assembled = false; ///< ptxas was found
  llvm::StringMap<Resources> resources;
  llvm::StringMap<LaunchRecord> records; ///< by kernel
};

/// Translates the device's module into PTX for `chip` and, where the CUDA toolkit is ($CUDA_HOME, $CUDA_ROOT, the PATH), a
/// cubin. `folder` is for temporary files. False with a message in `error` on failure.
bool compileForGpu(ModuleOp module, StringRef chip, StringRef folder, DeviceCode &code, std::string &error);

/// The object that holds the module's table (runtime/include/moe/module_abi.h) and the few functions that compiled code
/// may call by itself (memcpy and its kind).
bool compileTable(DictionaryAttr manifest, ArrayRef<std::pair<std::string, std::string>> variants,
                  const DeviceCode *device, Bytes &object, std::string &error);

/// Links objects into a shared library that imports nothing and exports the module's symbol alone.
bool linkCode(ArrayRef<Bytes> objects, StringRef folder, StringRef output, std::string &error);

/// A weight's place in the artefact.
struct WeightPlace {
  std::string name;
  int64_t file, offset, size;
  RandomAttr random; ///< in no file: the runtime draws it; null for others
};
struct WeightFile {
  std::string name;
  int64_t size, headerSize;
  std::string headerHash;
  std::vector<std::string> chunkHashes;
};
struct WeightTable {
  std::vector<WeightPlace> weights;
  std::vector<WeightFile> files;
};
constexpr int64_t kChunkSize = 4 << 20;

/// Streams all weights and constants that the manifest names into files of `folder`.
LogicalResult writeWeights(ModuleOp module, DictionaryAttr manifest, StringRef folder, WeightTable &table);

/// manifest.json.
std::string manifestText(DictionaryAttr manifest, const EmitOptions &options, const WeightTable &weights,
                         int64_t codeSize, StringRef codeHash, ArrayRef<std::string> variants,
                         const DeviceCode *device);

/// XXH3-64 in lower-case hexadecimal.
std::string hashText(StringRef bytes);

} // namespace mlir::moe

#endif // MOE_LIB_EMIT_PARTS_H
