// Artefact.h - a loaded artefact: manifest, mapped weights, and the module that code.so exports.
#ifndef MOE_ARTEFACT_ARTEFACT_H
#define MOE_ARTEFACT_ARTEFACT_H

#include "artefact/Manifest.h"
#include "base/File.h"
#include "base/Memory.h"
#include "moe/module_abi.h"

#include <atomic>
#include <mutex>

namespace moe {

class Artefact {
public:
  ~Artefact();
  static Status load(const std::string &path, Artefact *&out);
  /// Compares all chunk checksums, and the safetensors headers with the manifest's weights.
  Status verify() const;

  const std::string &path() const { return path_; }
  const Manifest &manifest() const { return manifest_; }
  const moe_module_t &module() const { return *module_; }
  const MappedFile &weightFile(uint32_t file) const { return weightFiles_[file]; }
  /// Draws the random weights into host memory, once, with |threads| threads. Sessions that compute there call it first.
  Status fillRandomWeights(unsigned threads);
  /// Random weights are there after fillRandomWeights.
  const uint8_t *weightData(uint32_t weight) const {
    const Weight &info = manifest_.weights[weight];
    return (info.isRandom ? static_cast<const uint8_t *>(randomWeights_.data()) : weightFiles_[info.file].data()) +
           info.offset;
  }

  void retain() { ++count_; }
  void release() {
    if (--count_ == 0)
      delete this;
  }

private:
  Artefact() = default;
  Status loadWeights();
  Status loadCode();
  Status checkModule(const std::string &file) const;
  Status verifyHeader(uint32_t file) const;

  std::atomic<int> count_{1};
  std::string path_;
  Manifest manifest_;
  std::vector<MappedFile> weightFiles_;
  std::mutex randomMutex_;
  Block randomWeights_;
  void *library_ = nullptr;
  const moe_module_t *module_ = nullptr;
};

} // namespace moe
#endif // MOE_ARTEFACT_ARTEFACT_H
