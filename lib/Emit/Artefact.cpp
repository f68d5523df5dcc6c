//===- Artefact.cpp - the folder that moe-compile writes ------------------===//
#include "Parts.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <cstdio>
#include <thread>
#include <unistd.h>

using namespace mlir;
using namespace mlir::moe;

namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

/// True if `folder` is an artefact, so that it may be replaced.
static bool isArtefact(StringRef folder) {
  llvm::SmallString<128> manifest(folder);
  path::append(manifest, "manifest.json");
  auto buffer = llvm::MemoryBuffer::getFile(manifest);
  return buffer && (*buffer)->getBuffer().contains("\"moe-artefact\"");
}

namespace {
/// A new folder beside the output, removed unless it is committed.
class TemporaryFolder {
public:
  std::string place;
  ~TemporaryFolder() {
    if (!place.empty())
      fs::remove_directories(place);
  }
  std::error_code create(StringRef output) {
    llvm::SmallString<128> pattern(output), made;
    pattern += ".tmp-%%%%%%";
    for (int attempt = 0; attempt < 32; ++attempt) {
      fs::createUniquePath(pattern, made, /*MakeAbsolute=*/false);
      std::error_code code = fs::create_directory(made, /*IgnoreExisting=*/false, fs::all_all);
      if (!code) {
        place = made.str().str();
        return {};
      }
      if (code != std::errc::file_exists)
        return code;
    }
    return std::make_error_code(std::errc::file_exists);
  }
  std::string file(StringRef name) const {
    llvm::SmallString<128> at(place);
    path::append(at, name);
    return at.str().str();
  }
};
} // namespace

/// Puts `folder` where `output` is to be, in one step.
static std::error_code moveIntoPlace(TemporaryFolder &folder, StringRef output) {
  std::string out = output.str();
  if (!fs::exists(output)) {
    if (::rename(folder.place.c_str(), out.c_str()) != 0)
      return std::error_code(errno, std::generic_category());
    folder.place.clear();
    return {};
  }
  // The old artefact takes the temporary's place and goes with it.
  if (::renameat2(AT_FDCWD, folder.place.c_str(), AT_FDCWD, out.c_str(), RENAME_EXCHANGE) == 0)
    return {};
  if (errno != EINVAL && errno != ENOSYS)
    return std::error_code(errno, std::generic_category());
  std::string old = folder.place + ".old";
  if (::rename(out.c_str(), old.c_str()) != 0 || ::rename(folder.place.c_str(), out.c_str()) != 0)
    return std::error_code(errno, std::generic_category());
  folder.place.clear();
  fs::remove_directories(old);
  return {};
}

LogicalResult moe::emitArtefact(ModuleOp module, StringRef output, const EmitOptions &options, EmitResult &result) {
  auto fail = [&](const Twine &message) -> LogicalResult { return emitError(UnknownLoc::get(module.getContext())) << message; };
  auto manifest = module->getAttrOfType<DictionaryAttr>("moe.manifest");
  if (!manifest)
    return module.emitError("expects the attribute 'moe.manifest', which the lower phase makes");
  while (output.size() > 1 && output.ends_with("/"))
    output = output.drop_back();
  if (fs::exists(output) && !isArtefact(output))
    return fail("expects '" + output + "' not to exist or to be an artefact, but it is something else");
  TemporaryFolder folder;
  if (std::error_code code = folder.create(output))
    return fail("cannot write '" + output + "': " + code.message());

  // Code generation runs beside the weights, one thread per module.
  struct Job {
    ModuleOp module;
    std::string isa, prefix;
    bool isHost;
    Bytes object;
    std::string error;
    bool good = false;
  };
  std::vector<Job> jobs;
  std::vector<std::pair<std::string, std::string>> variants;
  std::vector<std::string> isas;
  ModuleOp device;
  for (auto inner : module.getOps<ModuleOp>()) {
    if (inner->hasAttr("moe.device")) {
      device = inner;
      continue;
    }
    auto isa = inner->getAttrOfType<StringAttr>("moe.isa");
    if (isa) {
      std::string prefix = inner.getName()->str() + ".";
      variants.push_back({isa.str(), prefix});
      isas.push_back(isa.str());
      jobs.push_back({inner, isa.str(), prefix, false, {}, {}});
    } else {
      jobs.push_back({inner, "x86-64-v3", "", true, {}, {}});
    }
  }
  std::vector<std::thread> threads;
  for (Job &job : jobs)
    threads.emplace_back([&job] {
      job.good = compileForCpu(job.module, job.isa, job.prefix, job.isHost, job.object, job.error);
    });
  WeightTable weights;
  LogicalResult wrote = writeWeights(module, manifest, folder.place, weights);
  for (std::thread &thread : threads)
    thread.join();
  if (failed(wrote))
    return failure();
  std::vector<Bytes> objects;
  for (Job &job : jobs) {
    if (!job.good)
      return fail("code generation for " + job.isa + " failed: " + job.error);
    objects.push_back(std::move(job.object));
  }
  std::string error;
  std::vector<DeviceImage> images;
  if (device && !compileForGpu(device, options.chip, folder.place, images, error))
    return fail("code generation for " + options.chip + " failed: " + error);
  Bytes table;
  if (!compileTable(manifest, variants, images, device ? kBlockSize : 0, table, error))
    return fail("code generation failed: " + error);
  objects.push_back(std::move(table));
  std::string code = folder.file("code.so");
  if (!linkCode(objects, folder.place, code, error))
    return fail("linking code.so failed: " + error);

  auto buffer = llvm::MemoryBuffer::getFile(code);
  if (!buffer)
    return fail("cannot read '" + code + "': " + buffer.getError().message());
  std::string text = manifestText(manifest, options, weights, (*buffer)->getBufferSize(),
                                  hashText((*buffer)->getBuffer()), isas);
  std::error_code status;
  llvm::raw_fd_ostream stream(folder.file("manifest.json"), status);
  stream << text;
  stream.close();
  if (status || stream.has_error()) {
    stream.clear_error();
    return fail("cannot write the manifest in '" + folder.place + "'");
  }
  for (const WeightPlace &place : weights.weights)
    result.weightBytes += place.size;
  if (std::error_code code = moveIntoPlace(folder, output))
    return fail("cannot write '" + output + "': " + code.message());
  return success();
}
