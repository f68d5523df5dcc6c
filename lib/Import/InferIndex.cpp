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

LogicalResult OpInference::topK() {
  Dims shape = dims(0u);
  FailureOr<int64_t> axis = axisOf(integer("axis", -1), shape.size());
  if (failed(axis))
    return failure();
  AffineExpr k = facts.scalar(in(1));
  std::optional<int64_t> count = known(k), size = known(shape[*axis]);
  if (count && (*count < 0 || (size && *count > *size)))
    return expects() << "0 <= K <= " << (size ? std::to_string(*size) : "the extent of its axis") << ", but K is " << *count;
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
  shape.insert(shape.begin() + *axis, facts.scalar(in(1)));
  set(0, shape, element(2));
  return success();
}

LogicalResult OpInference::compress() {
  Dims shape = dims(0u);
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
