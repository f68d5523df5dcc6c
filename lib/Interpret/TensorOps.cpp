//===- TensorOps.cpp - tensor ops -----------------------------------------===//
#include "Frame.h"
#include "Strided.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::moe;

static Scalar indexScalar(int64_t value) {
  Scalar scalar{};
  scalar.i = value;
  return scalar;
}

/// Bytes of a scalar value of `type`.
static void storeScalar(Type type, Scalar value, char *out) {
  ScalarType scalar = *getScalarType(type);
  Registers registers;
  registers.resize(1);
  registers.setLane(0, scalar.kind, 0, value);
  registers.store(0, scalar.element, out, 1, 1);
}

static LogicalResult fill(HostTensor &tensor, Type type, Scalar value) {
  char bytes[8];
  storeScalar(type, value, bytes);
  char *out = tensor.mutableData();
  unsigned width = tensor.bytesPerElement();
  for (int64_t i = 0, n = tensor.numElements(); i < n; ++i)
    std::memcpy(out + i * width, bytes, width);
  return success();
}

/// Checks that a slice lies within `shape`.
static LogicalResult checkSlice(Operation *op, ArrayRef<int64_t> shape, ArrayRef<int64_t> offsets,
                                ArrayRef<int64_t> sizes, ArrayRef<int64_t> strides) {
  for (auto [d, extent] : llvm::enumerate(shape)) {
    int64_t o = offsets[d], n = sizes[d], s = strides[d];
    int64_t last = n > 0 ? o + (n - 1) * s : o;
    if (n < 0 || (n > 0 && (o < 0 || o >= extent || last < 0 || last >= extent)))
      return op->emitOpError("expects a slice within extent ")
             << extent << " of dimension " << d << ", found offset " << o << ", size " << n << ", stride " << s;
  }
  return success();
}

static int64_t startOf(ArrayRef<int64_t> offsets, ArrayRef<int64_t> strides) {
  int64_t at = 0;
  for (auto [o, s] : llvm::zip(offsets, strides))
    at += o * s;
  return at;
}

static SmallVector<int64_t> multiply(ArrayRef<int64_t> a, ArrayRef<int64_t> b) {
  SmallVector<int64_t> out(a);
  for (auto [x, y] : llvm::zip(out, b))
    x *= y;
  return out;
}

/// Drops the unit extents of `sizes` that `type`, of lower rank, does not have.
static FailureOr<SmallVector<int64_t>> reduceRank(Operation *op, ArrayRef<int64_t> sizes,
                                                  llvm::SmallBitVector dropped) {
  SmallVector<int64_t> shape;
  for (auto [d, size] : llvm::enumerate(sizes)) {
    if (!dropped.test(d))
      shape.push_back(size);
    else if (size != 1)
      return op->emitOpError("expects dropped dimension ") << d << " to have size 1, found " << size;
  }
  return shape;
}

static LogicalResult runExtractSlice(Runner &runner, tensor::ExtractSliceOp op) {
  HostTensor source = runner.tensor(op.getSource());
  SmallVector<int64_t> offsets = runner.fold(op.getMixedOffsets()), sizes = runner.fold(op.getMixedSizes()),
                       strides = runner.fold(op.getMixedStrides());
  if (failed(checkSlice(op, source.shape(), offsets, sizes, strides)))
    return failure();
  FailureOr<SmallVector<int64_t>> shape = reduceRank(op, sizes, op.getDroppedDims());
  if (failed(shape))
    return failure();
  FailureOr<HostTensor> result = runner.make(op, source.elementType(), sizes);
  if (failed(result))
    return failure();
  SmallVector<int64_t> step = rowMajor(source.shape());
  if (result->numElements() > 0)
    copyElements(source.bytesPerElement(), sizes, source.data() + startOf(offsets, step) * source.bytesPerElement(),
                 multiply(step, strides), result->mutableData(), rowMajor(sizes));
  return runner.setResult(op, 0, result->reshaped(*shape));
}

/// Writes `source` into the slice of `out`; the source may lack unit dims.
template <typename OpTy>
static LogicalResult insertSlice(Runner &runner, OpTy op, const HostTensor &source, HostTensor &out) {
  SmallVector<int64_t> offsets = runner.fold(op.getMixedOffsets()), sizes = runner.fold(op.getMixedSizes()),
                       strides = runner.fold(op.getMixedStrides());
  if (failed(checkSlice(op, out.shape(), offsets, sizes, strides)))
    return failure();
  int64_t count = 1;
  SmallVector<int64_t> wanted, found;
  for (int64_t size : sizes) {
    count *= size;
    if (size != 1)
      wanted.push_back(size);
  }
  for (int64_t size : source.shape())
    if (size != 1)
      found.push_back(size);
  if (wanted != found)
    return op.emitOpError("expects a source of sizes [") << ArrayRef(sizes) << "], found [" << source.shape() << "]";
  if (count == 0)
    return success();
  SmallVector<int64_t> step = rowMajor(out.shape());
  copyElements(out.bytesPerElement(), sizes, source.data(), rowMajor(sizes),
               out.mutableData() + startOf(offsets, step) * out.bytesPerElement(), multiply(step, strides));
  return success();
}

static LogicalResult runInsertSlice(Runner &runner, tensor::InsertSliceOp op) {
  HostTensor source = runner.tensor(op.getSource()), out = runner.take(op.getDestMutable());
  if (failed(insertSlice(runner, op, source, out)))
    return failure();
  return runner.setResult(op, 0, std::move(out));
}

/// Writes into the shared output of the enclosing scf.forall, which is a block argument.
static LogicalResult runParallelInsertSlice(Runner &runner, tensor::ParallelInsertSliceOp op) {
  HostTensor source = runner.tensor(op.getSource()), out = runner.tensor(op.getDest());
  runner.set(op.getDest(), RunValue());
  if (failed(insertSlice(runner, op, source, out)))
    return failure();
  runner.set(op.getDest(), std::move(out));
  return success();
}

static LogicalResult runInsert(Runner &runner, tensor::InsertOp op) {
  HostTensor out = runner.take(op.getDestMutable());
  int64_t at = 0;
  for (auto [d, index] : llvm::enumerate(op.getIndices())) {
    int64_t i = runner.integer(index);
    if (i < 0 || i >= out.dim(d))
      return op.emitOpError("expects index ") << d << " to be in [0, " << out.dim(d) << "), found " << i;
    at = at * out.dim(d) + i;
  }
  storeScalar(op.getScalar().getType(), runner.get(op.getScalar()).scalar,
              out.mutableData() + at * out.bytesPerElement());
  return runner.setResult(op, 0, std::move(out));
}

static LogicalResult setReshaped(Runner &runner, Operation *op, const HostTensor &source, ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (int64_t d : shape)
    count *= d;
  if (count != source.numElements() || llvm::any_of(shape, [](int64_t d) { return d < 0; }))
    return op->emitOpError("expects a shape of ") << source.numElements() << " elements, found [" << shape << "]";
  return runner.setResult(op, 0, source.reshaped(shape));
}

static LogicalResult runCollapse(Runner &runner, tensor::CollapseShapeOp op) {
  HostTensor source = runner.tensor(op.getSrc());
  SmallVector<int64_t> shape;
  for (const ReassociationIndices &group : op.getReassociationIndices()) {
    shape.push_back(1);
    for (int64_t d : group)
      shape.back() *= source.dim(d);
  }
  return setReshaped(runner, op, source, shape);
}

static LogicalResult runExpand(Runner &runner, tensor::ExpandShapeOp op) {
  HostTensor source = runner.tensor(op.getSrc());
  SmallVector<int64_t> shape = runner.fold(op.getMixedOutputShape());
  for (auto [d, group] : llvm::enumerate(op.getReassociationIndices())) {
    int64_t product = 1;
    for (int64_t k : group)
      product *= shape[k];
    if (product != source.dim(d))
      return op.emitOpError("expects extents that multiply to ")
             << source.dim(d) << " for dimension " << d << ", found " << product;
  }
  return setReshaped(runner, op, source, shape);
}

static LogicalResult runReshape(Runner &runner, tensor::ReshapeOp op) {
  HostTensor sizes = runner.tensor(op.getShape());
  SmallVector<int64_t> shape;
  for (int64_t i = 0; i < sizes.numElements(); ++i)
    shape.push_back(sizes.integer(i));
  HostTensor source = runner.tensor(op.getSource());
  return setReshaped(runner, op, source, shape);
}

static LogicalResult runConcat(Runner &runner, tensor::ConcatOp op) {
  SmallVector<HostTensor> inputs;
  for (Value value : op.getInputs())
    inputs.push_back(runner.tensor(value));
  int64_t axis = op.getDim();
  SmallVector<int64_t> shape(inputs[0].shape());
  shape[axis] = 0;
  for (const HostTensor &input : inputs) {
    for (int64_t d = 0; d < input.rank(); ++d)
      if (d != axis && input.dim(d) != shape[d])
        return op.emitOpError("expects inputs that agree outside dimension ")
               << axis << ", found [" << inputs[0].shape() << "] and [" << input.shape() << "]";
    shape[axis] += input.dim(axis);
  }
  FailureOr<HostTensor> out = runner.make(op, inputs[0].elementType(), shape);
  if (failed(out))
    return failure();
  SmallVector<int64_t> strides = rowMajor(shape);
  char *at = out->mutableData();
  for (const HostTensor &input : inputs) {
    if (input.numElements() > 0)
      copyElements(input.bytesPerElement(), input.shape(), input.data(), rowMajor(input.shape()), at, strides);
    at += input.dim(axis) * strides[axis] * input.bytesPerElement();
  }
  return runner.setResult(op, 0, std::move(*out));
}

static LogicalResult runPad(Runner &runner, tensor::PadOp op) {
  HostTensor source = runner.tensor(op.getSource());
  SmallVector<int64_t> low = runner.fold(op.getMixedLowPad()), high = runner.fold(op.getMixedHighPad()), shape;
  for (int64_t d = 0; d < source.rank(); ++d) {
    if (low[d] < 0 || high[d] < 0)
      return op.emitOpError("expects padding >= 0, found ") << low[d] << " and " << high[d] << " in dimension " << d;
    shape.push_back(low[d] + source.dim(d) + high[d]);
  }
  FailureOr<HostTensor> out = runner.make(op, source.elementType(), shape);
  if (failed(out))
    return failure();
  Type type = source.elementType();
  if (Value value = op.getConstantPaddingValue()) {
    if (!runner.has(value) && failed(runner.runOp(value.getDefiningOp())))
      return failure();
    (void)fill(*out, type, runner.get(value).scalar);
  } else if (out->numElements() > 0) {
    SmallVector<int64_t> index(shape.size(), 0);
    char *at = out->mutableData();
    do {
      SmallVector<RunValue> arguments;
      for (int64_t i : index)
        arguments.push_back(indexScalar(i));
      FailureOr<SmallVector<RunValue>> value = runner.runBlock(op.getRegion().front(), arguments);
      if (failed(value))
        return failure();
      storeScalar(type, value->front().scalar, at);
      at += out->bytesPerElement();
    } while (advance(index, shape));
  }
  SmallVector<int64_t> strides = rowMajor(shape);
  if (source.numElements() > 0)
    copyElements(source.bytesPerElement(), source.shape(), source.data(), rowMajor(source.shape()),
                 out->mutableData() + startOf(low, strides) * source.bytesPerElement(), strides);
  return runner.setResult(op, 0, std::move(*out));
}

static LogicalResult runGenerate(Runner &runner, tensor::GenerateOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  FailureOr<SmallVector<int64_t>> shape = runner.shape(op, type, op.getDynamicExtents());
  if (failed(shape))
    return failure();
  FailureOr<HostTensor> out = runner.make(op, type.getElementType(), *shape);
  if (failed(out))
    return failure();
  SmallVector<int64_t> index(shape->size(), 0);
  char *at = out->mutableData();
  if (out->numElements() > 0)
    do {
      SmallVector<RunValue> arguments;
      for (int64_t i : index)
        arguments.push_back(indexScalar(i));
      FailureOr<SmallVector<RunValue>> value = runner.runBlock(op.getRegion().front(), arguments);
      if (failed(value))
        return failure();
      storeScalar(type.getElementType(), value->front().scalar, at);
      at += out->bytesPerElement();
    } while (advance(index, *shape));
  return runner.setResult(op, 0, std::move(*out));
}

static LogicalResult runFromElements(Runner &runner, tensor::FromElementsOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  FailureOr<HostTensor> out = runner.make(op, type.getElementType(), type.getShape());
  if (failed(out))
    return failure();
  char *at = out->mutableData();
  for (Value element : op.getElements()) {
    storeScalar(type.getElementType(), runner.get(element).scalar, at);
    at += out->bytesPerElement();
  }
  return runner.setResult(op, 0, std::move(*out));
}

static LogicalResult runSplat(Runner &runner, tensor::SplatOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  FailureOr<SmallVector<int64_t>> shape = runner.shape(op, type, op.getDynamicSizes());
  if (failed(shape))
    return failure();
  FailureOr<HostTensor> out = runner.make(op, type.getElementType(), *shape);
  if (failed(out))
    return failure();
  (void)fill(*out, type.getElementType(), runner.get(op.getInput()).scalar);
  return runner.setResult(op, 0, std::move(*out));
}

static LogicalResult runDim(Runner &runner, tensor::DimOp op) {
  const HostTensor &source = runner.tensor(op.getSource());
  int64_t dim = runner.integer(op.getIndex());
  if (dim < 0 || dim >= source.rank())
    return op.emitOpError("expects a dimension in [0, ") << source.rank() << "), found " << dim;
  runner.set(op, indexScalar(source.dim(dim)));
  return success();
}

/// Reads (or writes) slices at coordinates: the dims in `gather_dims` have size 1 in each slice.
static LogicalResult runGather(Runner &runner, tensor::GatherOp op) {
  HostTensor source = runner.tensor(op.getSource()), indices = runner.tensor(op.getIndices());
  ArrayRef<int64_t> dims = op.getGatherDims();
  SmallVector<int64_t> slice(source.shape()), kept;
  for (int64_t d : dims)
    slice[d] = 1;
  bool reduced = op.getResultType().getRank() == indices.rank() - 1 + source.rank() - static_cast<int64_t>(dims.size());
  for (int64_t d = 0; d < source.rank(); ++d)
    if (!reduced || !llvm::is_contained(dims, d))
      kept.push_back(slice[d]);
  SmallVector<int64_t> shape(indices.shape().drop_back());
  shape.append(kept.begin(), kept.end());
  FailureOr<HostTensor> out = runner.make(op, source.elementType(), shape);
  if (failed(out))
    return failure();
  int64_t width = indices.shape().back(), rows = width ? indices.numElements() / width : 0, volume = 1;
  for (int64_t d : slice)
    volume *= d;
  SmallVector<int64_t> strides = rowMajor(source.shape());
  char *at = out->mutableData();
  for (int64_t r = 0; r < rows; ++r) {
    int64_t start = 0;
    for (auto [i, d] : llvm::enumerate(dims)) {
      int64_t index = indices.integer(r * width + i);
      if (index < 0 || index >= source.dim(d))
        return op.emitOpError("expects an index in [0, ") << source.dim(d) << "), found " << index;
      start += index * strides[d];
    }
    if (volume)
      copyElements(source.bytesPerElement(), slice, source.data() + start * source.bytesPerElement(), strides, at,
                   rowMajor(slice));
    at += volume * source.bytesPerElement();
  }
  return runner.setResult(op, 0, std::move(*out));
}

static LogicalResult runScatter(Runner &runner, tensor::ScatterOp op) {
  HostTensor source = runner.tensor(op.getSource()), indices = runner.tensor(op.getIndices()),
             out = runner.take(op.getDestMutable());
  ArrayRef<int64_t> dims = op.getScatterDims();
  SmallVector<int64_t> slice(out.shape()), strides = rowMajor(out.shape());
  int64_t volume = 1, width = indices.shape().back(), rows = width ? indices.numElements() / width : 0;
  for (int64_t d : dims)
    slice[d] = 1;
  for (int64_t d : slice)
    volume *= d;
  if (source.numElements() != rows * volume)
    return op.emitOpError("expects ") << rows * volume << " elements to scatter, found " << source.numElements();
  for (int64_t r = 0; r < rows; ++r) {
    int64_t start = 0;
    for (auto [i, d] : llvm::enumerate(dims)) {
      int64_t index = indices.integer(r * width + i);
      if (index < 0 || index >= out.dim(d))
        return op.emitOpError("expects an index in [0, ") << out.dim(d) << "), found " << index;
      start += index * strides[d];
    }
    if (volume)
      copyElements(out.bytesPerElement(), slice, source.data() + r * volume * out.bytesPerElement(), rowMajor(slice),
                   out.mutableData() + start * out.bytesPerElement(), strides);
  }
  return runner.setResult(op, 0, std::move(out));
}

/// Between types of one width, element by element; between one type and itself, nothing.
static LogicalResult runBitcast(Runner &runner, Operation *op) {
  HostTensor source = runner.tensor(op->getOperand(0));
  std::optional<Element> to = getElement(getElementTypeOrSelf(op->getResult(0).getType()));
  if (!to || packedBits(*to) != packedBits(source.element()))
    return op->emitOpError("expects element types of one width, found ")
           << source.elementType() << " and " << op->getResult(0).getType();
  HostTensor out = source.retyped(getElementTypeOrSelf(op->getResult(0).getType()));
  if (packedBits(*to) < 8) { // one byte each, but sign extension differs
    char *at = out.mutableData();
    for (int64_t i = 0, n = out.numElements(); i < n; ++i)
      storeInteger(*to, at + i, source.integer(i));
  }
  return runner.setResult(op, 0, std::move(out));
}

std::optional<LogicalResult> moe::runTensorOp(Runner &runner, Operation *op) {
  return llvm::TypeSwitch<Operation *, std::optional<LogicalResult>>(op)
      .Case([&](tensor::EmptyOp empty) -> LogicalResult {
        FailureOr<SmallVector<int64_t>> shape = runner.shape(op, empty.getType(), empty.getDynamicSizes());
        if (failed(shape))
          return failure();
        FailureOr<HostTensor> out = runner.make(op, empty.getType().getElementType(), *shape);
        return failed(out) ? failure() : runner.setResult(op, 0, std::move(*out));
      })
      .Case([&](bufferization::AllocTensorOp alloc) -> LogicalResult {
        if (alloc.getCopy())
          return runner.setResult(op, 0, HostTensor(runner.tensor(alloc.getCopy())));
        FailureOr<SmallVector<int64_t>> shape = runner.shape(op, alloc.getType(), alloc.getDynamicSizes());
        if (failed(shape))
          return failure();
        FailureOr<HostTensor> out = runner.make(op, alloc.getType().getElementType(), *shape);
        return failed(out) ? failure() : runner.setResult(op, 0, std::move(*out));
      })
      .Case([&](tensor::CastOp cast) { return runner.setResult(op, 0, HostTensor(runner.tensor(cast.getSource()))); })
      .Case([&](tensor::RankOp rank) {
        runner.set(rank, indexScalar(runner.tensor(rank.getTensor()).rank()));
        return success();
      })
      .Case([&](tensor::BitcastOp) { return runBitcast(runner, op); })
      .Case([&](UnrealizedConversionCastOp cast) -> LogicalResult {
        if (cast.getNumOperands() != 1 || cast.getNumResults() != 1 ||
            !isa<RankedTensorType>(cast.getOperand(0).getType()) || !isa<RankedTensorType>(cast.getResult(0).getType()))
          return cast.emitOpError("is only known between two tensors");
        return runBitcast(runner, op);
      })
      .Case([&](tensor::CollapseShapeOp t) { return runCollapse(runner, t); })
      .Case([&](tensor::ConcatOp t) { return runConcat(runner, t); })
      .Case([&](tensor::DimOp t) { return runDim(runner, t); })
      .Case([&](tensor::ExpandShapeOp t) { return runExpand(runner, t); })
      .Case([&](tensor::ExtractSliceOp t) { return runExtractSlice(runner, t); })
      .Case([&](tensor::FromElementsOp t) { return runFromElements(runner, t); })
      .Case([&](tensor::GatherOp t) { return runGather(runner, t); })
      .Case([&](tensor::GenerateOp t) { return runGenerate(runner, t); })
      .Case([&](tensor::InsertOp t) { return runInsert(runner, t); })
      .Case([&](tensor::InsertSliceOp t) { return runInsertSlice(runner, t); })
      .Case([&](tensor::PadOp t) { return runPad(runner, t); })
      .Case([&](tensor::ParallelInsertSliceOp t) { return runParallelInsertSlice(runner, t); })
      .Case([&](tensor::ReshapeOp t) { return runReshape(runner, t); })
      .Case([&](tensor::ScatterOp t) { return runScatter(runner, t); })
      .Case([&](tensor::SplatOp t) { return runSplat(runner, t); })
      .Default([](Operation *) { return std::nullopt; });
}
