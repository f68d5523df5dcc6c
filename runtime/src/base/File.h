// File.h - whole files, mapped files, and writing that leaves nothing half done.
#ifndef MOE_BASE_FILE_H
#define MOE_BASE_FILE_H

#include "base/Status.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace moe {

/// Reads a whole regular file of at most |limit| bytes.
Status readFile(const std::string &path, std::string &out, uint64_t limit = uint64_t(1) << 40);

/// Writes beside |path| and renames, so that |path| is either complete or untouched.
Status writeFile(const std::string &path, std::string_view bytes);

/// A read-only mapping of a regular file.
class MappedFile {
public:
  MappedFile() = default;
  MappedFile(MappedFile &&other) noexcept { *this = static_cast<MappedFile &&>(other); }
  MappedFile &operator=(MappedFile &&other) noexcept;
  ~MappedFile();
  static Status open(const std::string &path, MappedFile &out);
  const uint8_t *data() const { return data_; }
  uint64_t size() const { return size_; }

private:
  const uint8_t *data_ = nullptr;
  uint64_t size_ = 0;
};

bool isFolder(const std::string &path);
bool fileExists(const std::string &path);
/// The names in a folder, sorted.
Status listFolder(const std::string &path, std::vector<std::string> &out);
/// Makes one folder; an existing one is fine.
Status makeFolder(const std::string &path);
inline std::string joinPath(const std::string &folder, const std::string &name) {
  return folder.empty() || folder.back() == '/' ? folder + name : folder + "/" + name;
}

/// XXH3-64 of bytes, and the way the manifest writes it: 16 lower-case hexadecimal digits.
uint64_t xxh3(const void *data, size_t size);
std::string hex64(uint64_t value);

} // namespace moe
#endif // MOE_BASE_FILE_H
