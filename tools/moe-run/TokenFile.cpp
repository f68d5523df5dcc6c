// TokenFile.cpp - see TokenFile.h.
#include "TokenFile.h"
#include "base/File.h"

#include <cstring>

namespace moe {

Status readTokenFile(const std::string &path, std::vector<int64_t> &out) {
  size_t dot = path.rfind('.');
  std::string ending = dot == std::string::npos ? "" : path.substr(dot);
  size_t width = ending == ".u8" ? 1 : ending == ".u16" ? 2 : ending == ".u32" ? 4 : 0;
  if (!width)
    return Status(MOE_INVALID_ARGUMENT,
                  path + ": expected a name that ends in .u8, .u16 or .u32, found \"" + ending + "\"");
  std::string bytes;
  MOE_RETURN_IF_ERROR(readFile(path, bytes));
  if (bytes.size() % width)
    return Status(MOE_INVALID_ARGUMENT,
                  path + format(": expected a multiple of %zu bytes, found %zu", width, bytes.size()));
  out.resize(bytes.size() / width);
  for (size_t i = 0; i < out.size(); ++i) {
    uint32_t token = 0;
    memcpy(&token, bytes.data() + i * width, width);
    out[i] = token;
  }
  return Status();
}

Status checkTokens(const std::string &where, const std::vector<int64_t> &tokens, int64_t most) {
  for (size_t i = 0; most >= 0 && i < tokens.size(); ++i)
    if (tokens[i] < 0 || tokens[i] > most)
      return Status(MOE_OUT_OF_RANGE, where + format(": token %zu: expected an id from 0 to %lld, found %lld", i,
                                                     (long long)most, (long long)tokens[i]));
  return Status();
}
} // namespace moe
