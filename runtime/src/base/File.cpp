// File.cpp - see File.h.
#include "base/File.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace moe {
namespace {
Status failure(const std::string &path, const char *what) {
  return Status(errno == ENOENT ? MOE_NOT_FOUND : MOE_INVALID_ARGUMENT,
                format("%s: %s: %s", path.c_str(), what, strerror(errno)));
}
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0)
      close(fd);
  }
};
Status openRegular(const std::string &path, int &fd, uint64_t &size) {
  fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    return failure(path, "cannot open");
  struct stat info;
  if (fstat(fd, &info) != 0)
    return failure(path, "cannot read its size");
  if (!S_ISREG(info.st_mode))
    return Status(MOE_INVALID_ARGUMENT,
                  path + ": expected a regular file, found " + (S_ISDIR(info.st_mode) ? "a folder" : "something else"));
  size = uint64_t(info.st_size);
  return Status();
}
} // namespace

Status readFile(const std::string &path, std::string &out, uint64_t limit) {
  Descriptor file{-1};
  uint64_t size;
  MOE_RETURN_IF_ERROR(openRegular(path, file.fd, size));
  if (size > limit)
    return Status(MOE_INVALID_ARGUMENT, format("%s: expected at most %llu bytes, found %llu", path.c_str(),
                                               (unsigned long long)limit, (unsigned long long)size));
  out.resize(size);
  for (uint64_t done = 0; done < size;) {
    ssize_t got = read(file.fd, out.data() + done, size - done);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return failure(path, "cannot read");
    if (got == 0) {
      out.resize(done);
      break;
    }
    done += uint64_t(got);
  }
  return Status();
}

Status writeFile(const std::string &path, std::string_view bytes) {
  std::string beside = format("%s.part-%d", path.c_str(), int(getpid()));
  Descriptor file{open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)};
  if (file.fd < 0)
    return failure(beside, "cannot create");
  for (size_t done = 0; done < bytes.size();) {
    ssize_t put = write(file.fd, bytes.data() + done, bytes.size() - done);
    if (put < 0 && errno == EINTR)
      continue;
    if (put < 0) {
      Status status = failure(beside, "cannot write");
      unlink(beside.c_str());
      return status;
    }
    done += size_t(put);
  }
  if (rename(beside.c_str(), path.c_str()) != 0) {
    Status status = failure(path, "cannot replace");
    unlink(beside.c_str());
    return status;
  }
  return Status();
}

MappedFile &MappedFile::operator=(MappedFile &&other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}
MappedFile::~MappedFile() {
  if (data_)
    munmap(const_cast<uint8_t *>(data_), size_);
}
Status MappedFile::open(const std::string &path, MappedFile &out) {
  Descriptor file{-1};
  MappedFile mapped;
  MOE_RETURN_IF_ERROR(openRegular(path, file.fd, mapped.size_));
  if (mapped.size_ > 0) {
    void *data = mmap(nullptr, mapped.size_, PROT_READ, MAP_PRIVATE, file.fd, 0);
    if (data == MAP_FAILED) {
      mapped.size_ = 0;
      return failure(path, "cannot map");
    }
    mapped.data_ = static_cast<const uint8_t *>(data);
  }
  out = std::move(mapped);
  return Status();
}

bool isFolder(const std::string &path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}
bool fileExists(const std::string &path) { return access(path.c_str(), F_OK) == 0; }

Status listFolder(const std::string &path, std::vector<std::string> &out) {
  DIR *folder = opendir(path.c_str());
  if (!folder)
    return failure(path, "cannot open the folder");
  out.clear();
  while (dirent *entry = readdir(folder))
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      out.push_back(entry->d_name);
  closedir(folder);
  std::sort(out.begin(), out.end());
  return Status();
}

Status makeFolder(const std::string &path) {
  if (mkdir(path.c_str(), 0777) == 0 || (errno == EEXIST && isFolder(path)))
    return Status();
  return failure(path, "cannot make the folder");
}

uint64_t xxh3(const void *data, size_t size) { return XXH3_64bits(data, size); }
std::string hex64(uint64_t value) { return format("%016llx", (unsigned long long)value); }
} // namespace moe
