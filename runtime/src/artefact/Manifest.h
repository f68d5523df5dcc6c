// Manifest.h - manifest.json as structures; docs/Artefact.md says what the fields mean.
#ifndef MOE_ARTEFACT_MANIFEST_H
#define MOE_ARTEFACT_MANIFEST_H

#include "base/Status.h"
#include "moe/random_values.h"

#include <map>
#include <string_view>
#include <vector>

namespace moe {

struct Value {
  std::string name, role;
  moe_dtype_t dtype = MOE_DTYPE_NONE;
  std::vector<std::string> dimNames; // "" for a number and where data decide
  std::vector<moe_dim_t> dims;       // their names point into dimNames
  int64_t maxValue = -1;
};

struct Temporary {
  std::string size;
  int64_t first = 0, last = 0; // steps
};

struct Step {
  uint32_t kernel = 0;
  std::string op, source;
};

struct Entry {
  std::string name;
  std::vector<Value> inputs, outputs;
  std::vector<uint32_t> weights; // indices into Manifest::weights
  std::vector<Temporary> temporaries;
  std::vector<Step> steps;
  std::string flops, bytes;  // expressions, or empty
  std::string notCapturable; // why its launches cannot be a graph, or empty
  // Filled from the above: dims of all inputs and outputs, concatenated.
  uint32_t numInputExtents = 0, numOutputExtents = 0;
};

struct WeightFile {
  std::string file;
  uint64_t size = 0, headerSize = 0, chunkSize = 0;
  uint64_t headerChecksum = 0;
  std::vector<uint64_t> chunkChecksums;
};

struct Weight {
  std::string name;
  uint32_t file = 0;
  uint64_t offset = 0, size = 0;      // bytes of the file, or of the memory of random weights
  bool isRandom = false;              // in no file: the runtime draws the values
  moe_dtype_t dtype = MOE_DTYPE_NONE; // of random values
  moe_random_t random{};
};

struct Manifest {
  std::string compiler, target, chip;
  std::string codeFile;
  uint64_t codeSize = 0, codeChecksum = 0;
  std::vector<WeightFile> weightFiles;
  std::vector<Weight> weights;
  uint64_t randomBytes = 0; // memory that the random weights take together
  std::vector<Entry> entries;
  std::vector<Value> states;
  std::vector<std::string> variants, kernels;
  std::map<int64_t, std::string> errors;
  std::string fp8 = "off", precision = "f32", activations = "f32";

  /// Reads and validates the text of |path| (used in messages). Every field is checked: presence, type, range,
  /// references to other parts.
  static Status parse(const std::string &path, std::string_view text, Manifest &out);
};

} // namespace moe
#endif // MOE_ARTEFACT_MANIFEST_H
