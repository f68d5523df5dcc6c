//===- InferIndex.cpp - gathers, selections and what only data decide -----===//
#include "InferOp.h"

using namespace mlir;
using namespace mlir::moe;

LogicalResult OpInference::gather() {
  Dims data = dims(0u), indices = dims(1u), shape;
  FailureOr<int64_t> axis = axisOf(integer("axis", 0), data.size());
  if (failed(axis))
    return failure();
  shape.append(data.begin(), data.begin() + *axis);
  shape.append(indices);
  shape.append(data.begin() + *axis + 1, data.end());
  set(0, shape, element(0));
  std::optional<Dims> values = data.size() == 1 ? expressions(0) : std::nullopt;
  std::optional<Dims> at = expressions(1);
  if (!values || !at)
    return success();
  Dims taken;
  int64_t count = values->size();
  for (AffineExpr index : *at) {
    std::optional<int64_t> i = known(index);
    if (i && (*i < -count || *i >= count))
      return expects() << "indices in [" << -count << ", " << count << "), but found " << *i;
    taken.push_back(i ? (*values)[*i < 0 ? *i + count : *i] : AffineExpr());
  }
  setValues(0, taken);
  return success();
}

LogicalResult OpInference::gatherElements() {
  if (dims(0u).size() != dims(1u).size())
    return expects() << "data and indices of one rank, but they have " << dims(0u).size() << " and " << dims(1u).size();
  FailureOr<int64_t> axis = axisOf(integer("axis", 0), dims(0u).size());
  if (failed(axis))
    return failure();
  set(0, dims(1u), element(0));
  return success();
}

LogicalResult OpInference::gatherND() {
  Dims data = dims(0u), indices = dims(1u);
  int64_t batch = integer("batch_dims", 0);
  std::optional<int64_t> depth = indices.empty() ? std::nullopt : known(indices.back());
  if (!depth || *depth < 1 || batch < 0 || batch >= static_cast<int64_t>(indices.size()) ||
      batch + *depth > static_cast<int64_t>(data.size()))
    return expects() << "indices whose last dim is static and fits data, but they are " << shapeText(indices) << " for "
                     << shapeText(data) << " with batch_dims " << batch;
  Dims shape(indices.begin(), indices.end() - 1);
  shape.append(data.begin() + batch + *depth, data.end());
  set(0, shape, element(0));
  return success();
}

LogicalResult OpInference::scatterElements() {
  Dims data = dims(0u), indices = dims(1u);
  if (failed(axisOf(integer("axis", 0), data.size())))
    return failure();
  if (indices.size() != data.size() || element(2) != element(0))
    return expects() << "indices of data's rank and updates of its element type, but they are " << in(1).getType()
                     << " and " << in(2).getType() << " for " << in(0).getType();
  if (failed(expectShape(2, "updates", indices)))
    return failure();
  set(0, data, element(0));
  return success();
}

LogicalResult OpInference::scatterND() {
  Dims data = dims(0u), indices = dims(1u);
  std::optional<int64_t> depth = indices.empty() ? std::nullopt : known(indices.back());
  if (!depth || *depth > static_cast<int64_t>(data.size()) || element(2) != element(0))
    return expects() << "indices whose last dim is static and fits data and updates of its element type, but they are "
                     << in(1).getType() << " and " << in(2).getType() << " for " << in(0).getType();
  Dims updates(indices.begin(), indices.end() - 1);
  updates.append(data.begin() + *depth, data.end());
  if (failed(expectShape(2, "updates", updates)))
    return failure();
  set(0, data, element(0));
  return success();
}

LogicalResult OpInference::tensorScatter() {
  Dims past = dims(0u);
  FailureOr<int64_t> axis = axisOf(integer("axis", -2), past.size());
  if (failed(axis))
    return failure();
  Dims update = past;
  update[*axis] = AffineExpr();
  if (failed(expectShape(1, "an update", update)) || failed(expectShape(2, "write indices", {past[0]})))
    return failure();
  if (element(1) != element(0))
    return expects() << "inputs of one element type, but they are " << element(0) << " and " << element(1);
  set(0, past, element(0));
  return success();
}

LogicalResult OpInference::reverseSequence() {
  Dims shape = dims(0u);
  FailureOr<int64_t> batch = axisOf(integer("batch_axis", 1), shape.size());
  if (failed(batch) || failed(expectShape(1, "lengths", {shape[*batch]})))
    return failure();
  set(0, shape, element(0));
  return success();
}

LogicalResult OpInference::topK() {
  Dims shape = dims(0u);
  FailureOr<int64_t> axis = axisOf(integer("axis", -1), shape.size());
  if (failed(axis))
    return failure();
  AffineExpr k = facts.scalar(in(1));
  std::optional<int64_t> count = known(k), size = known(shape[*axis]);
  if (count && (*count < 0 || (size && *count > *size)))
    return expects() << "0 <= K <= " << (size ? std::to_string(*size) : "the extent of its axis") << ", but K is "
                     << *count;
  shape[*axis] = k;
  set(0, shape, element(0));
  set(1, shape, builder().getI64Type());
  return success();
}

LogicalResult OpInference::argReduce() {
  Dims shape = dims(0u);
  FailureOr<int64_t> axis = axisOf(integer("axis", 0), shape.size());
  if (failed(axis))
    return failure();
  if (integer("keepdims", 1))
    shape[*axis] = number(1);
  else
    shape.erase(shape.begin() + *axis);
  set(0, shape, builder().getI64Type());
  return success();
}

LogicalResult OpInference::nonZero() {
  set(0, {number(rank(0)), AffineExpr()}, builder().getI64Type());
  return success();
}

LogicalResult OpInference::oneHot() {
  Dims shape = dims(0u);
  FailureOr<int64_t> axis = axisOf(integer("axis", -1), shape.size() + 1);
  if (failed(axis))
    return failure();
  if (failed(expectShape(2, "an off and an on value", {number(2)})))
    return failure();
  shape.insert(shape.begin() + *axis, facts.scalar(in(1)));
  set(0, shape, element(2));
  // Small integers by value: exporters put the repeats of a Tile together like this.
  std::optional<SmallVector<int64_t>> at = constants(0), depth = constants(1);
  std::optional<Dims> offOn = expressions(2);
  if (!at || at->size() != 1 || !depth || depth->size() != 1 || !offOn || (*depth)[0] < 0 || (*depth)[0] > 64)
    return success();
  Dims values((*depth)[0], (*offOn)[0]);
  int64_t on = (*at)[0] < 0 ? (*at)[0] + (*depth)[0] : (*at)[0];
  if (on >= 0 && on < (*depth)[0])
    values[on] = (*offOn)[1];
  setValues(0, values);
  return success();
}

LogicalResult OpInference::compress() {
  Dims shape = dims(0u);
  if (failed(expectShape(1, "a condition", {AffineExpr()})))
    return failure();
  auto axis = op->getAttrOfType<IntegerAttr>("axis");
  if (!axis) {
    set(0, {AffineExpr()}, element(0));
    return success();
  }
  FailureOr<int64_t> at = axisOf(axis.getInt(), shape.size());
  if (failed(at))
    return failure();
  shape[*at] = AffineExpr();
  set(0, shape, element(0));
  return success();
}

LogicalResult OpInference::unique() {
  Dims shape = dims(0u);
  Type i64 = builder().getI64Type();
  if (auto axis = op->getAttrOfType<IntegerAttr>("axis")) {
    FailureOr<int64_t> at = axisOf(axis.getInt(), shape.size());
    if (failed(at))
      return failure();
    AffineExpr all = shape[*at];
    shape[*at] = AffineExpr();
    set(0, shape, element(0));
    set(2, {all}, i64);
  } else {
    set(0, {AffineExpr()}, element(0));
    set(2, {facts.numElements(in(0))}, i64);
  }
  set(1, {AffineExpr()}, i64);
  set(3, {AffineExpr()}, i64);
  return success();
}
