//===- Link.cpp - objects to code.so, with lld as a library ---------------===//
#include "Parts.h"

#include "lld/Common/Driver.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

LLD_HAS_DRIVER(elf)

using namespace mlir;
using namespace mlir::moe;

bool moe::linkCode(ArrayRef<Bytes> objects, StringRef folder, StringRef output, std::string &error) {
  std::vector<std::string> files;
  for (const Bytes &object : objects) {
    llvm::SmallString<128> path(folder);
    llvm::sys::path::append(path, "object-" + std::to_string(files.size()) + ".o");
    std::error_code code;
    llvm::raw_fd_ostream stream(path, code);
    stream.write(object.data(), object.size());
    stream.close();
    files.push_back(path.str().str());
    if (code || stream.has_error()) {
      stream.clear_error();
      error = "cannot write '" + path.str().str() + "'";
      return false;
    }
  }
  std::string out = output.str();
  // --no-undefined: code.so imports nothing. Only the table's symbol is not hidden.
  std::vector<const char *> args = {"ld.lld",
                                    "-shared",
                                    "--no-undefined",
                                    "--gc-sections",
                                    "--threads=1",
                                    "-O1",
                                    "-z",
                                    "noexecstack",
                                    "-z",
                                    "relro",
                                    "-z",
                                    "now",
                                    "--build-id=none",
                                    "--strip-debug",
                                    "-o",
                                    out.c_str()};
  for (const std::string &file : files)
    args.push_back(file.c_str());
  std::string text;
  llvm::raw_string_ostream messages(text);
  lld::Result result = lld::lldMain(args, llvm::nulls(), messages, {{lld::Gnu, &lld::elf::link}});
  for (const std::string &file : files)
    llvm::sys::fs::remove(file);
  if (result.retCode != 0)
    error = text.empty() ? "the linker failed" : text;
  return result.retCode == 0;
}
