// Tensor.h - a tensor in host memory with its name, and the files that hold one: ONNX TensorProto (.pb) and NumPy
// (.npy).
#ifndef MOE_RUN_TENSOR_H
#define MOE_RUN_TENSOR_H

#include "base/Status.h"

#include <memory>
#include <string_view>
#include <vector>

namespace moe {

struct Tensor {
  std::string name;
  moe_dtype_t dtype = MOE_DTYPE_NONE;
  std::vector<int64_t> shape;

  size_t elements() const;
  size_t bytes() const { return elements() * moe_dtype_size(dtype); }
  void allocate(); // for dtype and shape; zeros, 64-byte aligned
  void *data() { return data_.get(); }
  const void *data() const { return data_.get(); }
  moe_tensor_t view() const { return {dtype, uint32_t(shape.size()), shape.data(), data_.get(), bytes()}; }

private:
  struct Free {
    void operator()(void *memory) const { free(memory); }
  };
  std::unique_ptr<void, Free> data_;
};

/// "float32[2, 3]"
std::string describe(moe_dtype_t dtype, const std::vector<int64_t> &shape);

/// Reads a TensorProto: raw_data or the typed fields, every element type the runtime has. Sequences, strings, complex
/// numbers and external data are errors. |bytes| come from the file |path|, which messages name.
Status readTensorProto(const std::string &path, std::string_view bytes, Tensor &out);
/// The same with raw_data.
std::string writeTensorProto(const Tensor &tensor);

/// Reads version 1 to 3 of the .npy format, little-endian, C order. Two-byte void or unsigned elements are taken as
/// |expected| if that is bfloat16 (NumPy has no such type), one-byte ones likewise for FP8.
Status readNpy(const std::string &path, std::string_view bytes, moe_dtype_t expected, Tensor &out);
std::string writeNpy(const Tensor &tensor);

} // namespace moe
#endif // MOE_RUN_TENSOR_H
