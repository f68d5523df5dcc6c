// FuzzData.cpp - the other files that moe-run reads. Byte 0 says which.
//
//   n  .npy, byte 1 the element type expected      p  TensorProto            t  tokenizer.json
//   r  a pattern, a newline, the text to search     j  JSON                   e  an expression of sizes
#include "Regex.h"
#include "Tensor.h"
#include "Tokenizer.h"
#include "Unicode.h"
#include "base/Dtype.h"
#include "base/Expression.h"
#include "base/Json.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>

using namespace moe;

static bool check(const Status &status) {
  if (!status.ok() && (status.message().empty() || status.message().size() > 20000)) {
    fprintf(stderr, "a message of %zu characters\n", status.message().size());
    abort();
  }
  return status.ok();
}

/// A tensor that was read can be written and is read again as the same.
static void checkTensor(const Tensor &tensor) {
  Tensor again;
  if (!check(readTensorProto("again.pb", writeTensorProto(tensor), again)) || again.shape != tensor.shape ||
      again.dtype != tensor.dtype || (tensor.bytes() && memcmp(again.data(), tensor.data(), tensor.bytes()) != 0))
    abort();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2)
    return 0;
  std::string_view text(reinterpret_cast<const char *>(data) + 1, size - 1);
  Tensor tensor;
  switch (data[0]) {
  case 'n':
    if (check(readNpy("x.npy", text.substr(1), moe_dtype_t(data[1] % (MOE_DTYPE_FLOAT8E5M2 + 1)), tensor)))
      checkTensor(tensor);
    return 0;
  case 'p':
    if (check(readTensorProto("x.pb", text, tensor)))
      checkTensor(tensor);
    return 0;
  case 't': {
    Tokenizer tokenizer;
    if (!check(Tokenizer::parse("tokenizer.json", text, tokenizer)))
      return 0;
    std::vector<int64_t> ids;
    check(tokenizer.encode("Once upon a time, there's 12 \xc3\xa9\xe2\x82\xac\n  end<s>", ids));
    ids.push_back(-1), ids.push_back(tokenizer.size()), ids.push_back(0);
    tokenizer.decode(ids);
    return 0;
  }
  case 'r': {
    size_t line = text.find('\n');
    Regex regex;
    if (!check(Regex::compile(text.substr(0, line), regex)) || line == std::string_view::npos)
      return 0;
    std::u32string in = fromUtf8(text.substr(line + 1));
    size_t begin, end;
    bool found = true;
    for (size_t from = 0; check(regex.find(in, from, found, begin, end)) && found; from = end)
      if (begin < from || end <= begin || end > in.size())
        abort();
    return 0;
  }
  case 'j': {
    Json json;
    if (check(Json::parse(text, json)))
      json.describe();
    return 0;
  }
  default: {
    double value;
    check(evaluateExpression(
        text, [](std::string_view name, double &out) { return out = double(name.size()), name != "no"; }, value));
    return 0;
  }
  }
}
