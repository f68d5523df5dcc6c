// Npy.cpp - NumPy's array file: a magic, a Python dictionary as text, the elements.
#include "Tensor.h"
#include "base/Dtype.h"

#include <cstdlib>
#include <cstring>

namespace moe {
namespace {
struct Row {
  const char *descr;
  moe_dtype_t dtype;
};
constexpr Row kRows[] = {{"<f4", MOE_DTYPE_FLOAT32}, {"<f2", MOE_DTYPE_FLOAT16}, {"<f8", MOE_DTYPE_FLOAT64},
                         {"|i1", MOE_DTYPE_INT8},    {"<i2", MOE_DTYPE_INT16},   {"<i4", MOE_DTYPE_INT32},
                         {"<i8", MOE_DTYPE_INT64},   {"|u1", MOE_DTYPE_UINT8},   {"<u2", MOE_DTYPE_UINT16},
                         {"<u4", MOE_DTYPE_UINT32},  {"<u8", MOE_DTYPE_UINT64},  {"|b1", MOE_DTYPE_BOOL}};

/// The text behind 'key': in the header's dictionary.
std::string_view entry(std::string_view header, std::string_view key) {
  size_t at = header.find("'" + std::string(key) + "'");
  if (at == std::string_view::npos)
    return {};
  at = header.find(':', at);
  if (at == std::string_view::npos)
    return {};
  header.remove_prefix(at + 1);
  header.remove_prefix(std::min(header.find_first_not_of(' '), header.size()));
  return header;
}
} // namespace

Status readNpy(const std::string &path, std::string_view bytes, moe_dtype_t expected, Tensor &out) {
  auto bad = [&](const std::string &what) { return Status(MOE_INVALID_ARGUMENT, path + ": " + what); };
  out = Tensor();
  if (bytes.size() < 12 || bytes.substr(0, 6) != "\x93NUMPY")
    return bad("expected a .npy file, found other bytes");
  uint32_t version = (unsigned char)bytes[6], prefix = version == 1 ? 10 : 12, length = 0;
  if (version < 1 || version > 3)
    return bad(format("expected version 1 to 3 of the .npy format, found %u", version));
  memcpy(&length, bytes.data() + 8, version == 1 ? 2 : 4);
  if (length > bytes.size() - prefix)
    return bad("the header is cut off");
  std::string_view header = bytes.substr(prefix, length), data = bytes.substr(prefix + length);
  std::string_view descr = entry(header, "descr"), order = entry(header, "fortran_order"),
                   shape = entry(header, "shape");
  if (descr.size() < 2 || descr[0] != '\'' || shape.empty() || shape[0] != '(')
    return bad("expected a .npy header with descr and shape, found another");
  descr = descr.substr(1, descr.find('\'', 1) - 1);
  if (descr.empty())
    return bad("expected little-endian numbers, found an empty descr");
  for (const Row &row : kRows)
    if (descr.substr(1) == row.descr + 1 &&
        (descr[0] == row.descr[0] || descr[0] == '|' || descr[0] == '<' || descr[0] == '='))
      out.dtype = row.dtype;
  size_t wide = moe_dtype_size(expected);
  bool unnamed =
      expected == MOE_DTYPE_BFLOAT16 || expected == MOE_DTYPE_FLOAT8E4M3FN || expected == MOE_DTYPE_FLOAT8E5M2;
  if (unnamed &&
      (descr == format("|V%zu", wide) || descr == format("<V%zu", wide) || descr.substr(1) == format("u%zu", wide)))
    out.dtype = expected;
  if (out.dtype == MOE_DTYPE_NONE)
    return bad("expected little-endian numbers, found descr '" + std::string(descr) + "'");
  std::string_view inside = shape.substr(1, shape.find(')') - 1);
  size_t elements = 1;
  while (!inside.empty()) {
    std::string number(inside.substr(0, inside.find(',')));
    inside.remove_prefix(std::min(inside.size(), number.size() + 1));
    char *end;
    int64_t extent = strtoll(number.c_str(), &end, 10);
    if (end == number.c_str())
      continue; // the empty place behind a last comma
    if (extent < 0 || __builtin_mul_overflow(elements, size_t(extent), &elements) || elements > size_t(1) << 40)
      return bad("shape is negative or too large");
    out.shape.push_back(extent);
  }
  if (order.substr(0, 4) == "True" && out.shape.size() > 1)
    return bad("expected C order, found Fortran order");
  if (data.size() != out.bytes())
    return bad(format("expected %zu bytes for %s, found %zu", out.bytes(), describe(out.dtype, out.shape).c_str(),
                      data.size()));
  out.allocate();
  memcpy(out.data(), data.data(), data.size());
  return Status();
}

std::string writeNpy(const Tensor &tensor) {
  std::string descr = format("|V%zu", moe_dtype_size(tensor.dtype)), shape;
  for (const Row &row : kRows)
    if (row.dtype == tensor.dtype)
      descr = row.descr;
  for (int64_t extent : tensor.shape)
    shape += std::to_string(extent) + ", ";
  if (tensor.shape.size() > 1)
    shape.resize(shape.size() - 2);
  std::string header = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': (" + shape + "), }";
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  std::string out = "\x93NUMPY";
  out += '\1', out += '\0', out += char(header.size() & 255), out += char(header.size() >> 8);
  out += header;
  return out.append(static_cast<const char *>(tensor.data()), tensor.bytes());
}
} // namespace moe
