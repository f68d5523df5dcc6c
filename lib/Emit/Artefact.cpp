//===- Artefact.cpp - the folder that moe-compile writes ------------------===//
#include "Parts.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
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

/// Kernels marked hot may not spill, and ptxas may not have serialized their products: both cost half the speed without a
/// word. Elsewhere such notes are warnings.
static LogicalResult checkDeviceCode(ModuleOp device, DictionaryAttr manifest, const DeviceCode &code) {
  // The op of a kernel is that of its first step.
  llvm::StringMap<std::string> ops;
  SmallVector<StringRef> names(manifest.getAs<ArrayAttr>("kernels").getAsValueRange<StringAttr>());
  for (auto entry : manifest.getAs<ArrayAttr>("entries").getAsRange<DictionaryAttr>())
    for (auto step : entry.getAs<ArrayAttr>("steps").getAsRange<DictionaryAttr>())
      ops.try_emplace(names[step.getAs<IntegerAttr>("kernel").getInt()], step.getAs<StringAttr>("op").str());
  bool good = true;
  for (auto kernel : device.getOps<LLVM::LLVMFuncOp>()) {
    auto record = code.records.find(kernel.getName());
    if (record == code.records.end())
      continue;
    bool hot = record->second.hot;
    std::string name = "kernel '" + kernel.getName().str() + "'";
    if (std::string op = ops.lookup(kernel.getName()); !op.empty())
      name += " (" + op + ")";
    if (!code.assembled) {
      if (hot)
        emitWarning(kernel.getLoc()) << name
                                     << " is hot, but nobody looked for spills: ptxas is not in $CUDA_HOME, $CUDA_ROOT "
                                     << "or on the PATH; the driver will assemble the PTX";
      continue;
    }
    Resources resources = code.resources.lookup(kernel.getName());
    // A note without a name may be about any kernel.
    std::vector<std::string> notes = resources.notes;
    if (hot)
      llvm::append_range(notes, code.resources.lookup("").notes);
    for (const std::string &note : notes) {
      if (hot)
        emitError(kernel.getLoc()) << "expects the hot " << name << " to have no serialized products, but ptxas says "
                                   << note;
      else
        emitWarning(kernel.getLoc()) << name << ": ptxas says " << note;
      good &= !hot;
    }
    if (hot && resources.spillStores + resources.spillLoads > 0) {
      emitError(kernel.getLoc()) << "expects the hot " << name << " to keep its values in registers, but ptxas spills "
                                 << resources.spillStores << " bytes of stores and " << resources.spillLoads
                                 << " of loads, at " << resources.registers << " registers";
      good = false;
    }
  }
  return success(good);
}

LogicalResult moe::emitArtefact(ModuleOp module, StringRef output, const EmitOptions &options, EmitResult &result) {
  auto fail = [&](const Twine &message) -> LogicalResult {
    return emitError(UnknownLoc::get(module.getContext())) << message;
  };
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
    threads.emplace_back(
        [&job] { job.good = compileForCpu(job.module, job.isa, job.prefix, job.isHost, job.object, job.error); });
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
  DeviceCode code;
  if (device) {
    if (!compileForGpu(device, options.chip, folder.place, code, error))
      return fail("code generation for " + options.chip + " failed: " + error);
    if (failed(checkDeviceCode(device, manifest, code)))
      return failure();
  }
  Bytes table;
  if (!compileTable(manifest, variants, device ? &code : nullptr, table, error))
    return fail("code generation failed: " + error);
  objects.push_back(std::move(table));
  std::string codeFile = folder.file("code.so");
  if (!linkCode(objects, folder.place, codeFile, error))
    return fail("linking code.so failed: " + error);

  auto buffer = llvm::MemoryBuffer::getFile(codeFile);
  if (!buffer)
    return fail("cannot read '" + codeFile + "': " + buffer.getError().message());
  std::string text = manifestText(manifest, options, weights, (*buffer)->getBufferSize(),
                                  hashText((*buffer)->getBuffer()), isas, device ? &code : nullptr);
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
