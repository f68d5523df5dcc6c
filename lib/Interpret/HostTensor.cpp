//===- HostTensor.cpp - a tensor's value in memory ------------------------===//
#include "moe/Interpret/HostTensor.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"
#include <cmath>
#include <cstring>

using namespace mlir;
using namespace mlir::moe;

std::vector<float> HostTensor::floats() const {
  std::vector<float> values(numElements());
  convertElements(kind, data(), Element::F32, reinterpret_cast<char *>(values.data()), values.size());
  return values;
}

HostTensor HostTensor::fromFloats(Type type, ArrayRef<int64_t> shape, ArrayRef<float> values) {
  HostTensor result(type, shape);
  char *out = result.mutableData();
  if (result.kind == Element::F32) {
    std::memcpy(out, values.data(), values.size() * 4);
    return result;
  }
  unsigned bytes = result.bytesPerElement();
  for (auto [i, value] : llvm::enumerate(values))
    storeDouble(result.kind, out + i * bytes, value, Overflow::ToNaN);
  return result;
}

/// The shortest decimal form that reads back as the same number of its format.
static void printNumber(llvm::raw_ostream &os, const HostTensor &tensor, int64_t i) {
  if (!isFloat(tensor.element())) {
    int64_t value = tensor.integer(i);
    if (tensor.element() == Element::U64)
      os << static_cast<uint64_t>(value);
    else
      os << value;
    return;
  }
  double value = tensor.number(i);
  if (std::isnan(value)) {
    os << "nan";
    return;
  }
  char text[40];
  bool isDouble = tensor.element() == Element::F64;
  if (value == std::trunc(value) && std::fabs(value) < 1e6) {
    std::snprintf(text, sizeof(text), "%.0f", value);
    os << text;
    return;
  }
  for (int digits = 1; digits <= 17; ++digits) {
    std::snprintf(text, sizeof(text), "%.*g", digits, value);
    double back = std::strtod(text, nullptr);
    if (isDouble ? back == value : static_cast<float>(back) == static_cast<float>(value))
      break;
  }
  os << text;
}

static void printDims(llvm::raw_ostream &os, const HostTensor &tensor, int64_t dim, int64_t &at) {
  if (dim == tensor.rank())
    return printNumber(os, tensor, at++);
  os << "[";
  for (int64_t i = 0; i < tensor.dim(dim); ++i) {
    if (i)
      os << ", ";
    printDims(os, tensor, dim + 1, at);
  }
  os << "]";
}

void moe::print(llvm::raw_ostream &os, const HostTensor &tensor) {
  os << RankedTensorType::get(tensor.shape(), tensor.elementType()) << " ";
  int64_t at = 0;
  if (tensor.numElements() == 0)
    os << "[]";
  else
    printDims(os, tensor, 0, at);
}
