// Artefact.cpp - loading: nothing of a part is used before its size and checksum are right.
#include "artefact/Artefact.h"

#include "base/Json.h"

#include <algorithm>
#include <cstring>
#include <dlfcn.h>
#include <memory>
#include <thread>
#include <unordered_map>

namespace moe {
namespace {
Status differs(const std::string &file, const std::string &what, const std::string &expected,
               const std::string &found) {
  return Status(MOE_BAD_ARTEFACT, file + ": " + what + ": expected " + expected + ", found " + found);
}
Status sizeMismatch(const std::string &file, uint64_t expected, uint64_t found) {
  return differs(file, "size", std::to_string(expected) + " bytes", std::to_string(found));
}
} // namespace

Artefact::~Artefact() {
  if (library_)
    dlclose(library_);
}

Status Artefact::load(const std::string &path, Artefact *&out) {
  if (!isFolder(path))
    return Status(MOE_NOT_FOUND,
                  path + (fileExists(path) ? ": expected an artefact (a folder), found a file" : ": no such artefact"));
  std::unique_ptr<Artefact> artefact(new Artefact());
  artefact->path_ = path;
  std::string manifestPath = joinPath(path, "manifest.json"), text;
  MOE_RETURN_IF_ERROR(readFile(manifestPath, text, uint64_t(1) << 30));
  MOE_RETURN_IF_ERROR(Manifest::parse(manifestPath, text, artefact->manifest_));
  MOE_RETURN_IF_ERROR(artefact->loadWeights());
  MOE_RETURN_IF_ERROR(artefact->loadCode());
  out = artefact.release();
  return Status();
}

Status Artefact::loadWeights() {
  for (const WeightFile &info : manifest_.weightFiles) {
    std::string file = joinPath(path_, info.file);
    MappedFile mapped;
    MOE_RETURN_IF_ERROR(MappedFile::open(file, mapped));
    if (mapped.size() != info.size)
      return sizeMismatch(file, info.size, mapped.size());
    if (uint64_t found = xxh3(mapped.data(), info.headerSize); found != info.headerChecksum)
      return differs(file, "checksum of the header", hex64(info.headerChecksum), hex64(found));
    weightFiles_.push_back(std::move(mapped));
  }
  return Status();
}

Status Artefact::fillRandomWeights(unsigned threads) {
  std::lock_guard<std::mutex> lock(randomMutex_);
  if (!manifest_.randomBytes || randomWeights_.data())
    return Status();
  if (!randomWeights_.allocate(defaultAllocator(), manifest_.randomBytes))
    return Status(MOE_OUT_OF_MEMORY,
                  path_ + format(": random weights need %llu bytes", (unsigned long long)manifest_.randomBytes));
  constexpr uint64_t kChunk = 1 << 18; // elements
  std::atomic<uint64_t> next{0};
  auto work = [&] {
    for (;;) {
      uint64_t chunk = next++;
      auto weight = manifest_.weights.begin();
      // Chunks are counted through all weights.
      for (; weight != manifest_.weights.end(); ++weight) {
        uint64_t chunks =
            weight->isRandom ? (weight->size / moe_random_element_size(weight->dtype) + kChunk - 1) / kChunk : 0;
        if (chunk < chunks)
          break;
        chunk -= chunks;
      }
      if (weight == manifest_.weights.end())
        return;
      uint32_t bytes = moe_random_element_size(weight->dtype);
      uint64_t begin = chunk * kChunk, end = std::min(begin + kChunk, weight->size / bytes);
      uint8_t *out = static_cast<uint8_t *>(randomWeights_.data()) + weight->offset;
      for (uint64_t i = begin; i < end; ++i) {
        uint32_t value = moe_random_element(&weight->random, weight->dtype, i);
        memcpy(out + i * bytes, &value, bytes);
      }
    }
  };
  std::vector<std::thread> helpers;
  for (unsigned i = 1; i < std::min(threads, 64u); ++i)
    helpers.emplace_back(work);
  work();
  for (std::thread &helper : helpers)
    helper.join();
  return Status();
}

Status Artefact::loadCode() {
  std::string file = joinPath(path_, manifest_.codeFile);
  {
    MappedFile code;
    MOE_RETURN_IF_ERROR(MappedFile::open(file, code));
    if (code.size() != manifest_.codeSize)
      return sizeMismatch(file, manifest_.codeSize, code.size());
    if (uint64_t found = xxh3(code.data(), code.size()); found != manifest_.codeChecksum)
      return differs(file, "checksum", hex64(manifest_.codeChecksum), hex64(found));
  }
  // A name without a slash would be looked for in the system's folders.
  std::string name = file.find('/') == std::string::npos ? "./" + file : file;
  library_ = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library_) {
    const char *why = dlerror();
    return Status(MOE_BAD_ARTEFACT, file + ": cannot be loaded: " + (why ? why : "unknown reason"));
  }
  module_ = static_cast<const moe_module_t *>(dlsym(library_, MOE_MODULE_SYMBOL));
  if (!module_)
    return differs(file, "exports", "the symbol " MOE_MODULE_SYMBOL, "none");
  return checkModule(file);
}

/// What the manifest and the module both say must agree, since buffers are laid out by the one and used by the other.
Status Artefact::checkModule(const std::string &file) const {
  if (module_->abi_version != MOE_MODULE_ABI_VERSION)
    return Status(MOE_UNSUPPORTED, format("%s: module ABI: expected version %d, found %u", file.c_str(),
                                          MOE_MODULE_ABI_VERSION, module_->abi_version));
  auto same = [&](const std::string &what, size_t manifest, size_t module) {
    return manifest == module ? Status()
                              : differs(file, "number of " + what, std::to_string(manifest) + " as in manifest.json",
                                        std::to_string(module));
  };
  MOE_RETURN_IF_ERROR(same("entries", manifest_.entries.size(), module_->num_entries));
  MOE_RETURN_IF_ERROR(same("kernels", manifest_.kernels.size(), module_->num_kernels));
  for (uint32_t i = 0; i < module_->num_kernels; ++i)
    if (manifest_.kernels[i] != module_->kernel_names[i])
      return differs(file, format("name of kernel %u", i), manifest_.kernels[i], module_->kernel_names[i]);
  if (manifest_.target == "cuda" && !module_->device_kernels)
    return differs(file, "exports", "launch records of device kernels", "none");
  if (manifest_.target == "cpu")
    MOE_RETURN_IF_ERROR(same("variants", manifest_.variants.size(), module_->num_cpu_variants));
  for (uint32_t i = 0; i < module_->num_entries; ++i) {
    const Entry &entry = manifest_.entries[i];
    const moe_entry_t &code = module_->entries[i];
    std::string of = " of entry " + entry.name;
    if (entry.name != code.name)
      return differs(file, format("name of entry %u", i), entry.name, code.name);
    MOE_RETURN_IF_ERROR(same("inputs" + of, entry.inputs.size(), code.num_inputs));
    MOE_RETURN_IF_ERROR(same("outputs" + of, entry.outputs.size(), code.num_outputs));
    MOE_RETURN_IF_ERROR(same("weights" + of, entry.weights.size(), code.num_weights));
    MOE_RETURN_IF_ERROR(same("temporaries" + of, entry.temporaries.size(), code.num_temporaries));
    MOE_RETURN_IF_ERROR(same("input extents" + of, entry.numInputExtents, code.num_input_extents));
    MOE_RETURN_IF_ERROR(same("output extents" + of, entry.numOutputExtents, code.num_output_extents));
  }
  return Status();
}

Status Artefact::verify() const {
  for (uint32_t file = 0; file < weightFiles_.size(); ++file) {
    const WeightFile &info = manifest_.weightFiles[file];
    const MappedFile &mapped = weightFiles_[file];
    std::string path = joinPath(path_, info.file);
    for (size_t chunk = 0; chunk < info.chunkChecksums.size(); ++chunk) {
      uint64_t begin = info.headerSize + chunk * info.chunkSize, size = std::min(info.chunkSize, info.size - begin);
      if (uint64_t found = xxh3(mapped.data() + begin, size); found != info.chunkChecksums[chunk])
        return differs(path,
                       format("checksum of chunk %zu (bytes %llu to %llu)", chunk, (unsigned long long)begin,
                              (unsigned long long)(begin + size)),
                       hex64(info.chunkChecksums[chunk]), hex64(found));
    }
    MOE_RETURN_IF_ERROR(verifyHeader(file));
  }
  return Status();
}

/// Every weight of the manifest is a tensor of this name and place in the safetensors header.
Status Artefact::verifyHeader(uint32_t file) const {
  const WeightFile &info = manifest_.weightFiles[file];
  const MappedFile &mapped = weightFiles_[file];
  std::string path = joinPath(path_, info.file);
  uint64_t length;
  memcpy(&length, mapped.data(), 8);
  if (length > info.headerSize - 8)
    return differs(path, "length of the header", format("at most %llu", (unsigned long long)info.headerSize - 8),
                   std::to_string(length));
  Json header;
  if (Status status = Json::parse({reinterpret_cast<const char *>(mapped.data()) + 8, size_t(length)}, header);
      !status.ok())
    return Status(MOE_BAD_ARTEFACT, path + ": header: " + status.message());
  std::unordered_map<std::string_view, const Json *> tensors;
  for (const auto &member : header.object())
    tensors[member.first] = &member.second;
  for (const Weight &weight : manifest_.weights) {
    if (weight.isRandom || weight.file != file)
      continue;
    auto found = tensors.find(weight.name);
    if (found == tensors.end())
      return differs(path, "header", "a tensor " + weight.name, "none");
    const Json *offsets = found->second->find("data_offsets");
    if (!offsets || offsets->array().size() != 2 || !offsets->array()[0].isInteger() ||
        !offsets->array()[1].isInteger())
      return differs(path, "data_offsets of " + weight.name, "two integers", offsets ? offsets->describe() : "nothing");
    uint64_t begin = uint64_t(offsets->array()[0].integer()) + 8 + length,
             end = uint64_t(offsets->array()[1].integer()) + 8 + length;
    if (begin != weight.offset || end != weight.offset + weight.size)
      return differs(path, "place of " + weight.name,
                     format("bytes %llu to %llu", (unsigned long long)weight.offset,
                            (unsigned long long)(weight.offset + weight.size)),
                     format("%llu to %llu", (unsigned long long)begin, (unsigned long long)end));
  }
  return Status();
}
} // namespace moe
