//===- InferShape.cpp - ops that read, change or make shapes --------------===//
#include "InferOp.h"

using namespace mlir;
using namespace mlir::moe;

LogicalResult OpInference::constant() {
  auto value = cast<ElementsAttr>(op->getAttr("value"));
  auto type = cast<RankedTensorType>(value.getType());
  Dims shape;
  for (int64_t size : type.getShape())
    shape.push_back(number(size));
  set(0, shape, type.getElementType());
  if (type.getNumElements() > static_cast<int64_t>(ShapeFacts::Impl::kMaxTracked))
    return success();
  if (std::optional<SmallVector<int64_t>> numbers = onnx::getConstantInts(op->getResult(0))) {
    Dims values;
    for (int64_t n : *numbers)
      values.push_back(number(n));
    setValues(0, values);
  }
  return success();
}

LogicalResult OpInference::shapeOp() {
  Dims shape = dims(0u);
  int64_t rank = shape.size();
  auto clampTo = [&](int64_t at) { return std::clamp(at < 0 ? at + rank : at, int64_t(0), rank); };
  int64_t start = clampTo(integer("start", 0)), end = clampTo(integer("end", rank));
  Dims values(shape.begin() + start, shape.begin() + std::max(start, end));
  set(0, {number(values.size())}, builder().getI64Type());
  setValues(0, values);
  return success();
}

LogicalResult OpInference::size() {
  set(0, {}, builder().getI64Type());
  setValues(0, {facts.numElements(in(0))});
  return success();
}

LogicalResult OpInference::reshape() {
  Dims from = dims(0u);
  std::optional<Dims> to = expressions(1);
  if (facts.shape(in(1)).size() != 1)
    return expects() << "a shape of rank 1, but it has rank " << facts.shape(in(1)).size();
  if (!to) {
    std::optional<int64_t> rank = length(1);
    if (!rank)
      return expects() << "a shape operand of known length, since ranks are static";
    set(0, Dims(*rank), element(0));
    return success();
  }
  bool allowZero = integer("allowzero", 0) != 0;
  Dims shape;
  std::optional<size_t> inferred;
  for (auto [i, value] : llvm::enumerate(*to)) {
    std::optional<int64_t> c = known(value);
    if (c && *c < -1)
      return expects() << "a shape without " << *c;
    if (c == -1) {
      if (inferred)
        return expects() << "at most one -1 in the shape, but it is " << shapeText(*to);
      inferred = i;
      shape.push_back(number(1));
    } else if (c == 0 && !allowZero) {
      if (i >= from.size())
        return expects() << "dim " << i << " of its input to copy, but that has shape " << shapeText(from);
      shape.push_back(from[i]);
    } else {
      // An extent that is 0 at run time would mean "copy"; where the input has the same extent there, both agree.
      shape.push_back(value);
    }
  }
  AffineExpr total = number(1), rest = number(1);
  for (AffineExpr dim : from)
    total = facts.mul(total, dim);
  for (AffineExpr dim : shape)
    rest = facts.mul(rest, dim);
  std::optional<int64_t> t = known(total), r = known(rest);
  if (inferred) {
    AffineExpr quotient;
    if (t && r) {
      if (*r == 0 ? *t != 0 : *t % *r)
        return expects() << *t << " elements to fit " << shapeText(*to);
      quotient = *r ? number(*t / *r) : number(0);
    } else if (total && rest && r != 0) {
      AffineExpr q = facts.floorDiv(total, rest);
      // A division that leaves a quotient is only exact if the graph is right: keep it as an expression.
      quotient = q;
    }
    shape[*inferred] = quotient;
  } else if (t && r && *t != *r) {
    return expects() << "as many elements as its input, " << *t << ", but the shape " << shapeText(shape) << " has "
                     << *r;
  }
  // One unknown extent follows from the others.
  size_t unknown = llvm::count(shape, AffineExpr());
  if (!inferred && unknown == 1 && total) {
    AffineExpr others = number(1);
    for (AffineExpr dim : shape)
      if (dim)
        others = facts.mul(others, dim);
    auto hole = llvm::find(shape, AffineExpr());
    if (others && known(others) != 0)
      if (AffineExpr q = facts.floorDiv(total, others); q && facts.equal(facts.mul(q, others), total))
        *hole = q;
  }
  set(0, shape, element(0));
  if (std::optional<Dims> values = expressions(0))
    setValues(0, *values);
  return success();
}

LogicalResult OpInference::flatten() {
  Dims shape = dims(0u);
  int64_t rank = shape.size(), axis = integer("axis", 1);
  if (axis < -rank || axis > rank)
    return expects() << "an axis in [" << -rank << ", " << rank << "], but found " << axis;
  axis = axis < 0 ? axis + rank : axis;
  AffineExpr outer = number(1), inner = number(1);
  for (auto [i, dim] : llvm::enumerate(shape))
    (static_cast<int64_t>(i) < axis ? outer : inner) = facts.mul(static_cast<int64_t>(i) < axis ? outer : inner, dim);
  set(0, {outer, inner}, element(0));
  return success();
}

LogicalResult OpInference::squeeze() {
  Dims shape = dims(0u), kept;
  SmallVector<int64_t> axes;
  if (in(1)) {
    std::optional<SmallVector<int64_t>> given = constants(1);
    if (!given) {
      // Which axes go is known at run time; how many must be known now.
      std::optional<int64_t> count = length(1);
      if (!count || *count > static_cast<int64_t>(shape.size()))
        return expects() << "a known number of axes, since ranks are static";
      set(0, Dims(shape.size() - *count), element(0));
      return success();
    }
    FailureOr<SmallVector<int64_t>> checked = axesOf(*given, shape.size());
    if (failed(checked))
      return failure();
    axes = *checked;
    for (int64_t axis : axes)
      if (std::optional<int64_t> size = known(shape[axis]); size && *size != 1)
        return expects() << "dim " << axis << " of " << shapeText(shape) << " to be 1";
  } else {
    for (auto [i, dim] : llvm::enumerate(shape))
      if (known(dim) == 1)
        axes.push_back(i);
  }
  for (auto [i, dim] : llvm::enumerate(shape))
    if (!llvm::is_contained(axes, static_cast<int64_t>(i)))
      kept.push_back(dim);
  set(0, kept, element(0));
  if (std::optional<Dims> values = expressions(0))
    setValues(0, *values);
  return success();
}

LogicalResult OpInference::unsqueeze() {
  Dims shape = dims(0u);
  std::optional<SmallVector<int64_t>> given = constants(1);
  if (!given) {
    std::optional<int64_t> count = length(1);
    if (!count)
      return expects() << "a known number of axes, since ranks are static";
    set(0, Dims(shape.size() + *count), element(0));
    return success();
  }
  FailureOr<SmallVector<int64_t>> axes = axesOf(*given, shape.size() + given->size());
  if (failed(axes))
    return failure();
  Dims wide;
  auto next = shape.begin();
  for (size_t i = 0; i < shape.size() + axes->size(); ++i)
    wide.push_back(llvm::is_contained(*axes, static_cast<int64_t>(i)) ? number(1) : *next++);
  set(0, wide, element(0));
  if (std::optional<Dims> values = expressions(0))
    setValues(0, *values);
  return success();
}

LogicalResult OpInference::transpose() {
  Dims shape = dims(0u);
  int64_t rank = shape.size();
  SmallVector<int64_t> perm;
  if (std::optional<SmallVector<int64_t>> given = integers("perm"))
    perm = *given;
  else
    for (int64_t i = rank; i-- > 0;)
      perm.push_back(i);
  FailureOr<SmallVector<int64_t>> axes = axesOf(perm, rank);
  if (failed(axes))
    return failure();
  if (static_cast<int64_t>(axes->size()) != rank)
    return expects() << "a permutation of " << rank << " dims, but it has " << axes->size();
  Dims result;
  for (int64_t axis : *axes)
    result.push_back(shape[axis]);
  set(0, result, element(0));
  if (std::optional<Dims> values = expressions(0); values && rank <= 1)
    setValues(0, *values);
  return success();
}

LogicalResult OpInference::concat() {
  if (op->getNumOperands() == 0)
    return expects() << "at least one input";
  Dims shape = dims(0u);
  FailureOr<int64_t> axis = axisOf(integer("axis", 0), shape.size());
  if (failed(axis))
    return failure();
  AffineExpr total = number(0);
  std::optional<Dims> values = Dims();
  for (unsigned i = 0; i < op->getNumOperands(); ++i) {
    Dims other = dims(i);
    if (other.size() != shape.size() || element(i) != element(0))
      return expects() << "inputs of one rank and element type, but they are " << op->getOperand(0).getType() << " and "
                       << op->getOperand(i).getType();
    for (size_t d = 0; d < shape.size(); ++d) {
      if (static_cast<int64_t>(d) == *axis)
        continue;
      std::optional<int64_t> a = known(shape[d]), b = known(other[d]);
      if (a && b && *a != *b)
        return expects() << "inputs that agree outside axis " << *axis << ", but they are " << shapeText(shape)
                         << " and " << shapeText(other);
      if (!a && b)
        shape[d] = other[d];
    }
    total = facts.add(total, other[*axis]);
    std::optional<Dims> more = expressions(i);
    if (values && more && shape.size() == 1)
      values->append(*more);
    else
      values.reset();
  }
  shape[*axis] = total;
  set(0, shape, element(0));
  if (values)
    setValues(0, *values);
  return success();
}

LogicalResult OpInference::split() {
  Dims shape = dims(0u);
  FailureOr<int64_t> axis = axisOf(integer("axis", 0), shape.size());
  if (failed(axis))
    return failure();
  int64_t parts = op->getNumResults();
  std::optional<Dims> sizes;
  if (in(1)) {
    sizes = expressions(1);
    if (sizes && static_cast<int64_t>(sizes->size()) != parts)
      return expects() << "a size for each of " << parts << " results, but there are " << sizes->size();
    std::optional<SmallVector<int64_t>> all = constants(1);
    if (std::optional<int64_t> whole = known(shape[*axis]); all && whole) {
      int64_t sum = 0;
      for (int64_t size : *all)
        sum = size < 0 ? *whole + 1 : sum + size;
      if (sum != *whole)
        return expects() << "sizes that add up to " << *whole << ", but they are " << shapeText(*sizes);
    }
  } else {
    int64_t given = integer("num_outputs", parts);
    if (given != parts)
      return expects() << given << " results, but there are " << parts;
    std::optional<int64_t> whole = known(shape[*axis]);
    sizes = Dims();
    for (int64_t i = 0; i < parts; ++i) {
      if (whole) {
        int64_t chunk = llvm::divideCeil(*whole, parts);
        sizes->push_back(number(std::clamp(*whole - i * chunk, int64_t(0), chunk)));
      } else {
        AffineExpr even = facts.floorDiv(shape[*axis], number(parts));
        bool exact = even && facts.equal(facts.mul(even, number(parts)), shape[*axis]);
        sizes->push_back(exact ? even : AffineExpr());
      }
    }
  }
  std::optional<Dims> values = shape.size() == 1 ? expressions(0) : std::nullopt;
  int64_t at = 0;
  for (int64_t i = 0; i < parts; ++i) {
    Dims part = shape;
    part[*axis] = sizes ? (*sizes)[i] : AffineExpr();
    set(i, part, element(0));
    std::optional<int64_t> size = known(part[*axis]);
    if (values && size && at + *size <= static_cast<int64_t>(values->size()))
      setValues(i, Dims(values->begin() + at, values->begin() + at + *size));
    if (size)
      at += *size;
    else
      values.reset();
  }
  return success();
}

LogicalResult OpInference::slice() {
  Dims shape = dims(0u);
  std::optional<Dims> starts = expressions(1), ends = expressions(2);
  SmallVector<int64_t> axes;
  if (in(3)) {
    std::optional<SmallVector<int64_t>> given = constants(3);
    if (!given) { // which dims change is not known
      set(0, Dims(shape.size()), element(0));
      return success();
    }
    FailureOr<SmallVector<int64_t>> checked = axesOf(*given, shape.size());
    if (failed(checked))
      return failure();
    axes = *checked;
  } else {
    std::optional<int64_t> count = length(1);
    for (int64_t i = 0; i < count.value_or(shape.size()); ++i)
      axes.push_back(i);
  }
  if (axes.size() > shape.size() || (starts && starts->size() != axes.size()) || (ends && ends->size() != axes.size()))
    return expects() << "a start and an end for each of its axes, and at most " << shape.size() << " axes";
  std::optional<Dims> steps = in(4) ? expressions(4) : Dims(axes.size(), number(1));
  if (steps && steps->size() != axes.size())
    return expects() << "a step for each of " << axes.size() << " axes, but there are " << steps->size();

  // A bound counted from the end, then clamped into [low, dim + high]. Null where the order cannot be proven.
  auto bound = [&](AffineExpr at, AffineExpr dim, int64_t low, int64_t high) -> AffineExpr {
    if (!at)
      return {};
    if (std::optional<int64_t> c = known(at)) {
      if (std::optional<int64_t> d = known(dim)) {
        int64_t from = *c < 0 ? (*c < -*d - 1 ? -1 : *c + *d) : *c;
        return number(std::clamp(from, low, *d + high));
      }
      if (*c == std::numeric_limits<int64_t>::max() || *c >= std::numeric_limits<int32_t>::max())
        return facts.add(dim, number(high));
      if (*c < -std::numeric_limits<int32_t>::max())
        return number(low);
      at = *c < 0 ? facts.add(dim, at) : at;
    } else if (!facts.isNonNegative(at)) {
      return {};
    }
    AffineExpr top = facts.min(at, facts.add(dim, number(high)));
    return top ? facts.max(top, number(low)) : AffineExpr();
  };
  for (auto [i, axis] : llvm::enumerate(axes)) {
    AffineExpr dim = shape[axis];
    std::optional<int64_t> step = steps ? known((*steps)[i]) : std::nullopt;
    if (step == 0)
      return expects() << "a step that is not 0";
    AffineExpr size;
    if (step && *step > 0 && starts && ends) {
      AffineExpr from = bound((*starts)[i], dim, 0, 0), to = bound((*ends)[i], dim, 0, 0), span = facts.sub(to, from);
      if (std::optional<int64_t> s = known(span))
        size = number(std::max<int64_t>(0, *s <= 0 ? 0 : (*s - 1) / *step + 1));
      else if (facts.isNonNegative(span) || (span && facts.equal(to, dim) && known(from) == 1))
        size = *step == 1 && facts.isNonNegative(span) ? span : AffineExpr();
      if (!size && *step > 1 && facts.isNonNegative(span))
        size = facts.floorDiv(facts.add(span, number(*step - 1)), number(*step));
    } else if (step && starts && ends) {
      AffineExpr from = bound((*starts)[i], dim, 0, -1), to = bound((*ends)[i], dim, -1, -1),
                 span = facts.sub(from, to);
      if (std::optional<int64_t> s = known(span))
        size = number(*s <= 0 ? 0 : (*s - 1) / -*step + 1);
    }
    shape[axis] = size;
  }
  set(0, shape, element(0));

  std::optional<Dims> values = shape.size() == 1 && axes.size() == 1 ? expressions(0) : std::nullopt;
  std::optional<int64_t> step = steps && axes.size() == 1 ? known((*steps)[0]) : std::nullopt;
  if (!values || !step || !starts || !ends)
    return success();
  std::optional<int64_t> from = known((*starts)[0]), size = known(shape[0]);
  if (!from || !size)
    return success();
  int64_t count = values->size(), at = *from < 0 ? *from + count : *from;
  at = *step > 0 ? std::clamp(at, int64_t(0), count) : std::clamp(at, int64_t(-1), count - 1);
  Dims taken;
  for (int64_t i = 0; i < *size; ++i)
    taken.push_back((*values)[at + i * *step]);
  setValues(0, taken);
  return success();
}

LogicalResult OpInference::expand() {
  std::optional<Dims> target = expressions(1);
  if (!target) {
    std::optional<int64_t> count = length(1);
    if (!count)
      return expects() << "a shape operand of known length, since ranks are static";
    target = Dims(*count);
  }
  Dims from = dims(0u);
  size_t rank = std::max(from.size(), target->size());
  Dims shape(rank);
  for (size_t i = 0; i < rank; ++i) {
    AffineExpr a = i + from.size() >= rank ? from[i + from.size() - rank] : number(1);
    AffineExpr b = i + target->size() >= rank ? (*target)[i + target->size() - rank] : number(1);
    std::optional<int64_t> ca = known(a), cb = known(b);
    if (ca && cb && *ca != *cb && *ca != 1 && *cb != 1)
      return expects() << "shapes that broadcast, but they are " << shapeText(from) << " and " << shapeText(*target);
    if (ca == 1)
      shape[i] = b;
    else if (cb == 1 || facts.equal(a, b) || (ca && !b))
      shape[i] = a;
    else if (ca)
      shape[i] = a;
    else
      shape[i] = cb ? b : AffineExpr();
  }
  set(0, shape, element(0));
  std::optional<Dims> values = expressions(0);
  AffineExpr total = facts.mul(number(1), number(1));
  for (AffineExpr dim : shape)
    total = dim ? facts.mul(total, dim) : AffineExpr();
  if (std::optional<int64_t> count = known(total); values && values->size() == 1 && count && *count >= 0 &&
                                                   *count <= static_cast<int64_t>(ShapeFacts::Impl::kMaxTracked))
    setValues(0, Dims(*count, values->front()));
  return success();
}

LogicalResult OpInference::tile() {
  Dims shape = dims(0u);
  std::optional<Dims> repeats = expressions(1);
  if (repeats && repeats->size() != shape.size())
    return expects() << "a repeat for each of " << shape.size() << " dims, but there are " << repeats->size();
  for (AffineExpr times : repeats.value_or(Dims()))
    if (std::optional<int64_t> n = known(times); n && *n > ShapeFacts::kMaxElements)
      return expects() << "at most 2^40 repeats, but found " << *n;
  for (auto [i, dim] : llvm::enumerate(shape))
    dim = repeats ? facts.mul(dim, (*repeats)[i]) : AffineExpr();
  set(0, shape, element(0));
  return success();
}

LogicalResult OpInference::pad() {
  Dims shape = dims(0u);
  std::optional<Dims> pads = expressions(1);
  SmallVector<int64_t> axes;
  if (in(3)) {
    std::optional<SmallVector<int64_t>> given = constants(3);
    if (!given) {
      set(0, Dims(shape.size()), element(0));
      return success();
    }
    FailureOr<SmallVector<int64_t>> checked = axesOf(*given, shape.size());
    if (failed(checked))
      return failure();
    axes = *checked;
  } else {
    for (size_t i = 0; i < shape.size(); ++i)
      axes.push_back(i);
  }
  if (pads && pads->size() != 2 * axes.size())
    return expects() << "two pads for each of " << axes.size() << " axes, but there are " << pads->size();
  for (AffineExpr amount : pads.value_or(Dims()))
    if (std::optional<int64_t> n = known(amount);
        n && (*n > ShapeFacts::kMaxElements || *n < -ShapeFacts::kMaxElements))
      return expects() << "pads of at most 2^40 elements, but found " << *n;
  for (auto [i, axis] : llvm::enumerate(axes))
    shape[axis] = pads ? facts.add(shape[axis], facts.add((*pads)[i], (*pads)[i + axes.size()])) : AffineExpr();
  set(0, shape, element(0));
  return success();
}

LogicalResult OpInference::constantOfShape() {
  Type type = builder().getF32Type();
  AffineExpr fill;
  if (auto value = attribute<ElementsAttr>("value")) {
    type = value.getElementType();
    if (value.getNumElements() != 1)
      return expects() << "a value with one element, but it has " << value.getNumElements();
    if (isa<IntegerType>(type)) {
      APInt n = *value.value_begin<APInt>();
      bool isUnsigned = type.isInteger(1) || type.isUnsignedInteger();
      if (!isUnsigned || n.getActiveBits() < 64)
        fill = number(isUnsigned ? n.getZExtValue() : n.getSExtValue());
    }
  }
  std::optional<Dims> shape = expressions(0);
  if (!shape) {
    std::optional<int64_t> count = length(0);
    if (!count)
      return expects() << "a shape operand of known length, since ranks are static";
    shape = Dims(*count);
  }
  set(0, *shape, type);
  AffineExpr total = number(1);
  for (AffineExpr dim : *shape)
    total = dim && total ? facts.mul(total, dim) : AffineExpr();
  if (std::optional<int64_t> n = known(total);
      fill && n && *n >= 0 && *n <= static_cast<int64_t>(ShapeFacts::Impl::kMaxTracked))
    setValues(0, Dims(*n, fill));
  return success();
}

LogicalResult OpInference::range() {
  AffineExpr start = facts.scalar(in(0)), limit = facts.scalar(in(1)), delta = facts.scalar(in(2)), size;
  for (unsigned i = 1; i < 3; ++i)
    if (element(i) != element(0))
      return expects() << "inputs of one element type, but they are " << element(0) << " and " << element(i);
  std::optional<int64_t> step = known(delta);
  if (step == 0)
    return expects() << "a delta that is not 0";
  AffineExpr span = step && *step < 0 ? facts.sub(start, limit) : facts.sub(limit, start);
  if (std::optional<int64_t> s = known(span); s && step)
    size = number(*s <= 0 ? 0 : (*s - 1) / std::abs(*step) + 1);
  else if (step == 1 && facts.isNonNegative(span))
    size = span;
  set(0, {size}, element(0));
  std::optional<int64_t> count = known(size);
  if (count && *count <= static_cast<int64_t>(ShapeFacts::Impl::kMaxTracked)) {
    Dims values;
    for (int64_t i = 0; i < *count; ++i)
      values.push_back(facts.add(start, facts.mul(delta, number(i))));
    setValues(0, values);
  }
  return success();
}

LogicalResult OpInference::depthSpace() {
  Dims shape = dims(0u);
  int64_t block = integer("blocksize", 1);
  constexpr int64_t kMaxBlock = 1 << 20;
  if (shape.size() != 4 || block < 1 || block > kMaxBlock)
    return expects() << "an input of rank 4 and a blocksize from 1 to " << kMaxBlock << ", but found rank "
                     << shape.size() << " and " << block;
  bool toSpace = op->getName().stripDialect() == "DepthToSpace";
  AffineExpr b = number(block), bb = number(block * block);
  if (toSpace)
    set(0, {shape[0], facts.floorDiv(shape[1], bb), facts.mul(shape[2], b), facts.mul(shape[3], b)}, element(0));
  else
    set(0, {shape[0], facts.mul(shape[1], bb), facts.floorDiv(shape[2], b), facts.floorDiv(shape[3], b)}, element(0));
  return success();
}

LogicalResult OpInference::resize() {
  Dims shape = dims(0u);
  std::optional<Dims> sizes = in(3) ? expressions(3) : std::nullopt;
  std::optional<SmallVector<int64_t>> axes = integers("axes");
  bool plain = !axes && sizes && sizes->size() == shape.size();
  set(0, plain ? *sizes : Dims(shape.size()), element(0));
  return success();
}

LogicalResult OpInference::eyeLike() {
  auto dtype = attribute<TypeAttr>("dtype");
  set(0, dims(0u), dtype ? dtype.getValue() : element(0));
  return success();
}

LogicalResult OpInference::expectLists() {
  StringRef name = op->getName().stripDialect();
  if (name == "Slice") {
    if (rank(1) != 1)
      return expects() << "starts of rank 1, but they are " << shapeText(dims(1));
    if (failed(expectList(1, "starts")))
      return failure();
    return failure(failed(expectList(2, "ends", length(1))) || failed(expectList(3, "axes", length(1))) ||
                   failed(expectList(4, "steps", length(1))));
  }
  if (name == "Pad") {
    if (failed(expectList(3, "axes")) || failed(expectOne(2, "a value")))
      return failure();
    return expectList(1, "pads", 2 * (!in(3) ? rank(0) : rank(3) == 0 ? 1 : *length(3)));
  }
  if (name == "Expand" || name == "ConstantOfShape") {
    unsigned shape = name == "Expand";
    return rank(shape) == 1 ? expectList(shape, "extents")
                            : expects() << "a shape of rank 1, but it is " << shapeText(dims(shape));
  }
  if (name.starts_with("Reduce"))
    return expectList(1, "axes");
  if (name == "Clip")
    return failure(failed(expectOne(1, "a minimum")) || failed(expectOne(2, "a maximum")));
  if (name == "Range")
    return failure(failed(expectOne(0, "a start")) || failed(expectOne(1, "a limit")) ||
                   failed(expectOne(2, "a delta")));
  if (name == "CumSum" || name == "CumProd")
    return expectOne(1, "an axis");
  if (name == "TopK" || name == "Trilu")
    return expectOne(1, "a k");
  if (name == "OneHot")
    return expectOne(1, "a depth");
  if (name == "Tile")
    return expectList(1, "repeats", rank(0));
  if (name == "Split")
    return expectList(1, "sizes", op->getNumResults());
  return success();
}
