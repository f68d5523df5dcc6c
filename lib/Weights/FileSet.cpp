//===- FileSet.cpp - files beneath one folder -----------------------------===//
#include "FileSet.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace mlir;
using namespace mlir::moe;

static constexpr unsigned kMaxOpenFiles = 64;

FileSet::~FileSet() { closeAll(); }

void FileSet::closeAll() {
  for (auto &entry : opened)
    ::close(entry.second.descriptor);
  opened.clear();
}

FailureOr<FileSet::File> FileSet::openBeneath(StringRef name, EmitError emitError) {
  SmallVector<StringRef> components;
  name.split(components, '/', -1, /*KeepEmpty=*/false);
  if (name.empty() || name.starts_with("/") || name.contains('\0') || components.empty() ||
      llvm::is_contained(components, ".."))
    return emitError() << "expects a weight file to be named by a relative path without '..', found '" << name << "'";
  int at = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (at < 0)
    return emitError() << "cannot open the weights folder '" << folder << "': " << std::strerror(errno);
  for (auto [i, component] : llvm::enumerate(components)) {
    bool last = i + 1 == components.size();
    int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | (last ? O_NONBLOCK : O_DIRECTORY);
    int next = ::openat(at, component.str().c_str(), flags);
    int error = errno;
    // Without following, a link is ELOOP as the file and ENOTDIR as a folder; say what it is.
    struct stat link;
    bool isLink =
        next < 0 && ::fstatat(at, component.str().c_str(), &link, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(link.st_mode);
    ::close(at);
    if (isLink)
      return emitError() << "expects no symbolic link in the path of weight file '" << name << "', but '" << component
                         << "' is one";
    if (next < 0)
      return emitError() << "cannot open weight file '" << name << "' in '" << folder << "': " << std::strerror(error);
    at = next;
  }
  struct stat status;
  if (::fstat(at, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(at);
    return emitError() << "expects weight file '" << name << "' in '" << folder << "' to be a regular file";
  }
  return File{at, static_cast<int64_t>(status.st_size)};
}

FailureOr<FileSet::File> FileSet::open(StringRef name, int64_t offset, int64_t size, EmitError emitError) {
  auto it = opened.find(name);
  if (it == opened.end()) {
    if (opened.size() >= kMaxOpenFiles)
      closeAll();
    FailureOr<File> file = openBeneath(name, emitError);
    if (failed(file))
      return failure();
    it = opened.insert({name, *file}).first;
  }
  const File &file = it->second;
  if (offset > file.size || size > file.size - offset)
    return emitError() << "expects weight file '" << name << "' to have at least " << offset << " + " << size
                       << " bytes, but it has " << file.size;
  return file;
}

LogicalResult FileSet::read(StringRef name, int64_t offset, int64_t size, char *out, EmitError emitError) {
  FailureOr<File> file = open(name, offset, size, emitError);
  if (failed(file))
    return failure();
  while (size > 0) {
    ssize_t got = ::pread(file->descriptor, out, size, offset);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return emitError() << "cannot read weight file '" << name << "': " << std::strerror(errno);
    if (got == 0)
      return emitError() << "expects weight file '" << name << "' to have " << size << " more bytes at " << offset
                         << ", but it ends there";
    out += got;
    offset += got;
    size -= got;
  }
  return success();
}
