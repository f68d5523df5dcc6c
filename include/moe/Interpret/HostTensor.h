//===- HostTensor.h - a tensor's value in memory --------------------------===//
#ifndef MOE_INTERPRET_HOSTTENSOR_H
#define MOE_INTERPRET_HOSTTENSOR_H

#include "moe/Weights/Elements.h"

#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/SmallVector.h"
#include <memory>
#include <vector>

namespace mlir::moe {

/// A dense row-major array with a runtime shape. Elements are unpacked (Elements.h): each takes whole bytes. Copies
/// share their memory until one of them is written to. Thread-compatible.
class HostTensor {
public:
  HostTensor() = default;
  /// Zeros. `type` is an integer, float or index type that `getElement` knows; `shape` has no negative extent.
  HostTensor(Type type, ArrayRef<int64_t> shape)
      : type(type), kind(*getElement(type)), dims(shape),
        memory(std::make_shared<std::vector<char>>(numElements() * elementBytes(kind))) {}
  /// The same memory under another shape of as many elements.
  HostTensor reshaped(ArrayRef<int64_t> shape) const {
    HostTensor result = *this;
    result.dims.assign(shape.begin(), shape.end());
    return result;
  }
  /// The same memory under another element type of the same width.
  HostTensor retyped(Type elementType) const {
    HostTensor result = *this;
    result.type = elementType;
    result.kind = *getElement(elementType);
    return result;
  }

  explicit operator bool() const { return memory != nullptr; }
  Type elementType() const { return type; }
  Element element() const { return kind; }
  ArrayRef<int64_t> shape() const { return dims; }
  int64_t dim(int64_t i) const { return dims[i]; }
  int64_t rank() const { return dims.size(); }
  int64_t numElements() const {
    int64_t n = 1;
    for (int64_t d : dims)
      n *= d;
    return n;
  }
  unsigned bytesPerElement() const { return elementBytes(kind); }

  const char *data() const { return memory->data(); }
  size_t size() const { return memory->size(); }
  /// Memory to write to; copied first when another tensor shares it.
  char *mutableData() {
    if (memory.use_count() > 1)
      memory = std::make_shared<std::vector<char>>(*memory);
    return memory->data();
  }

  /// One element as a number.
  double number(int64_t linear) const { return loadDouble(kind, data() + linear * bytesPerElement()); }
  int64_t integer(int64_t linear) const { return loadInteger(kind, data() + linear * bytesPerElement()); }
  /// All elements widened to f32.
  std::vector<float> floats() const;
  /// Rounds f32 values into a new tensor of `type`.
  static HostTensor fromFloats(Type type, ArrayRef<int64_t> shape, ArrayRef<float> values);

private:
  Type type;
  Element kind = Element::F32;
  SmallVector<int64_t, 4> dims;
  std::shared_ptr<std::vector<char>> memory;
};

/// Prints `tensor<2x3xf32> [[1, 2, 3], [4, 5, 6]]`; floats with the fewest digits that tell them apart.
void print(llvm::raw_ostream &os, const HostTensor &tensor);

} // namespace mlir::moe

#endif // MOE_INTERPRET_HOSTTENSOR_H
