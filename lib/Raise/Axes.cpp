//===- Axes.cpp - which dimensions of which values run together -----------===//
#include "Axes.h"
#include "OnnxMatch.h"

#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::moe;

//===----------------------------------------------------------------------===//
// Extents
//===----------------------------------------------------------------------===//

Extent Extent::get(AffineExpr expr) {
  Extent extent;
  if (auto constant = dyn_cast<AffineConstantExpr>(expr)) {
    extent.factor = constant.getValue();
    return extent;
  }
  if (auto binary = dyn_cast<AffineBinaryOpExpr>(expr))
    if (binary.getKind() == AffineExprKind::Mul)
      return get(binary.getLHS()).times(get(binary.getRHS()));
  extent.symbols.push_back(expr);
  return extent;
}

Extent Extent::times(const Extent &other) const {
  Extent result = *this;
  result.factor *= other.factor;
  llvm::append_range(result.symbols, other.symbols);
  llvm::sort(result.symbols,
             [](AffineExpr a, AffineExpr b) { return a.getAsOpaquePointer() < b.getAsOpaquePointer(); });
  return result;
}

std::optional<Extent> Extent::over(const Extent &other) const {
  if (other.factor == 0 || factor % other.factor != 0)
    return std::nullopt;
  Extent result = *this;
  result.factor /= other.factor;
  for (AffineExpr symbol : other.symbols) {
    auto *it = llvm::find(result.symbols, symbol);
    if (it == result.symbols.end())
      return std::nullopt;
    result.symbols.erase(it);
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Axes
//===----------------------------------------------------------------------===//

int AxisSpace::make(Extent extent) {
  atoms.emplace_back();
  atoms.back().extent = std::move(extent);
  return atoms.size() - 1;
}

int AxisSpace::root(int axis) const {
  int top = axis;
  while (atoms[top].parent >= 0)
    top = atoms[top].parent;
  // Long chains of ops make long chains of parents: each is walked once.
  while (axis != top)
    axis = std::exchange(atoms[axis].parent, top);
  return top;
}

Axes AxisSpace::leaves(ArrayRef<int> axes) const {
  Axes result;
  SmallVector<int> stack(llvm::reverse(axes));
  while (!stack.empty()) {
    int axis = root(stack.pop_back_val());
    if (atoms[axis].parts.empty())
      result.push_back(axis);
    else
      stack.append(atoms[axis].parts.rbegin(), atoms[axis].parts.rend());
  }
  return result;
}

Axes AxisSpace::leaves(const Layout &layout) const {
  Axes result;
  for (const Axes &dim : layout)
    llvm::append_range(result, leaves(dim));
  return result;
}

Extent AxisSpace::extent(ArrayRef<int> axes) const {
  Extent result;
  for (int axis : axes)
    result = result.times(extent(axis));
  return result;
}

void AxisSpace::split(int axis, const Extent &first, const Extent &rest) {
  int a = make(first), b = make(rest);
  atoms[axis].parts = {a, b};
}

bool AxisSpace::unify(ArrayRef<int> a, ArrayRef<int> b) {
  SmallVector<int> lhs(llvm::reverse(leaves(a))), rhs(llvm::reverse(leaves(b)));
  while (!lhs.empty() && !rhs.empty()) {
    // An earlier step may have split or united what is still on the stacks.
    auto refresh = [&](SmallVector<int> &stack) {
      Axes fresh = leaves(stack.pop_back_val());
      stack.append(fresh.rbegin(), fresh.rend());
    };
    refresh(lhs);
    refresh(rhs);
    int x = lhs.back(), y = rhs.back();
    if (x == y || atoms[x].extent == atoms[y].extent) {
      lhs.pop_back();
      rhs.pop_back();
      if (x != y)
        atoms[y].parent = x;
      continue;
    }
    if (std::optional<Extent> rest = atoms[x].extent.over(atoms[y].extent))
      split(x, atoms[y].extent, *rest);
    else if (std::optional<Extent> rest = atoms[y].extent.over(atoms[x].extent))
      split(y, atoms[x].extent, *rest);
    else
      return false;
  }
  return lhs.empty() && rhs.empty();
}

bool AxisSpace::equate(ArrayRef<int> a, ArrayRef<int> b) {
  Axes lhs = leaves(a), rhs = leaves(b);
  if (rhs.size() != 1 || lhs.empty() || atoms[rhs[0]].extent.isStatic() || extent(lhs) == atoms[rhs[0]].extent)
    return unify(lhs, rhs);
  atoms[rhs[0]].extent = extent(lhs);
  return unify(lhs, rhs);
}

//===----------------------------------------------------------------------===//
// Relating ops
//===----------------------------------------------------------------------===//

bool moe::isElementwise(Operation *op) {
  static const llvm::StringSet<> names = {
      "Abs",         "Add",       "And",         "Cast",      "Ceil",    "Celu",        "Clip",     "Div",
      "Elu",         "Equal",     "Erf",         "Exp",       "Floor",   "Gelu",        "Greater",  "GreaterOrEqual",
      "HardSigmoid", "HardSwish", "Identity",    "LeakyRelu", "Less",    "LessOrEqual", "Log",      "Max",
      "Mean",        "Min",       "Mish",        "Mul",       "Neg",     "Not",         "Or",       "Pow",
      "Reciprocal",  "Relu",      "Round",       "Selu",      "Sigmoid", "Sign",        "Softplus", "Softsign",
      "Sqrt",        "Sub",       "Sum",         "Swish",     "Tanh",    "Where",       "Xor",      "ms.BiasGelu",
      "ms.FastGelu", "ms.Gelu",   "ms.QuickGelu"};
  return isOnnx(op) && names.contains(op->getName().stripDialect());
}

bool moe::isLayoutOp(Operation *op) {
  return isOnnx(op, {"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Expand", "Tile", "Identity"});
}

Axes AxisAnalysis::fresh(AffineExpr expr) {
  auto it = known.find(expr);
  Extent extent = it != known.end() ? it->second : Extent::get(expr);
  if (extent.isOne())
    return {};
  return {space.make(extent)};
}

void AxisAnalysis::carryExtents(Operation *op) {
  bool expand = isOnnx(op, {"Expand"});
  if (!isElementwise(op) && !expand)
    return;
  auto extentOfExpr = [&](AffineExpr expr) {
    auto it = known.find(expr);
    return it != known.end() ? it->second : Extent::get(expr);
  };
  ArrayRef<AffineExpr> out = facts.shape(op->getResult(0));
  for (size_t fromEnd = 1; fromEnd <= out.size(); ++fromEnd) {
    AffineExpr expr = out[out.size() - fromEnd];
    SmallVector<Extent> extents;
    bool all = true;
    auto add = [&](AffineExpr e) {
      if (!e)
        all = false;
      else if (Extent x = extentOfExpr(e); !x.isOne())
        extents.push_back(x);
    };
    for (Value operand : expand ? op->getOperands().take_front() : op->getOperands())
      if (ArrayRef<AffineExpr> in = facts.shape(operand); fromEnd <= in.size())
        add(in[in.size() - fromEnd]);
    if (expand) {
      const SmallVector<AffineExpr> *shape = facts.elements(op->getOperand(1));
      if (!shape)
        return;
      if (fromEnd <= shape->size())
        add((*shape)[shape->size() - fromEnd]);
    }
    if (all && !extents.empty() && llvm::all_equal(extents) && !(extentOfExpr(expr) == extents[0]))
      known[expr] = extents[0];
  }
}

Layout &AxisAnalysis::layout(Value value) {
  auto it = layouts.find(value);
  if (it != layouts.end())
    return it->second;
  Layout result;
  for (AffineExpr extent : facts.shape(value))
    result.push_back(fresh(extent));
  return layouts[value] = std::move(result);
}

Axes AxisAnalysis::leaves(Value value, int64_t dim) { return space.leaves(layout(value)[dim]); }

LogicalResult AxisAnalysis::relateElementwise(Operation *op) {
  Layout out = layout(op->getResult(0));
  for (Value operand : op->getOperands()) {
    Layout in = layout(operand);
    if (in.size() > out.size())
      return failure();
    for (auto [inDim, outDim] : llvm::zip(llvm::reverse(in), llvm::reverse(out)))
      if (!inDim.empty() && !unify(inDim, outDim))
        return failure();
  }
  return success();
}

LogicalResult AxisAnalysis::relateGather(Operation *op, std::string &reason) {
  Value data = op->getOperand(0), indices = op->getOperand(1), result = op->getResult(0);
  Layout in = layout(data), at = layout(indices), out = layout(result);
  StringRef name = op->getName().stripDialect();
  auto same = [&](const Axes &a, const Axes &b) { return unify(a, b); };
  // Indices that count over axes: the dimension they select from is those axes.
  auto counted = [&](const Axes &dim) {
    std::optional<Axes> axes = positions(indices);
    return !axes || same(*axes, dim);
  };
  if (name == "GatherElements") {
    int64_t axis = axisOf(op, "axis", 0, in.size());
    for (size_t i = 0; i < in.size(); ++i)
      if (!same(at[i], out[i]) || (static_cast<int64_t>(i) != axis && !same(in[i], at[i])))
        return failure();
    return success();
  }
  if (name == "Gather") {
    int64_t axis = axisOf(op, "axis", 0, in.size());
    if (!counted(in[axis]))
      return failure();
    for (int64_t i = 0; i < axis; ++i)
      if (!same(in[i], out[i]))
        return failure();
    for (size_t i = 0; i < at.size(); ++i)
      if (!same(at[i], out[axis + i]))
        return failure();
    for (size_t i = axis + 1; i < in.size(); ++i)
      if (!same(in[i], out[at.size() + i - 1]))
        return failure();
    return success();
  }
  if (intAttr(op, "batch_dims", 0) != 0) {
    reason = "a GatherND with batch dimensions";
    return failure();
  }
  int64_t width = cast<RankedTensorType>(indices.getType()).getShape().back();
  if (ShapedType::isDynamic(width))
    return failure();
  if (width == 1 && !counted(in[0]))
    return failure();
  size_t lead = at.size() - 1;
  for (size_t i = 0; i < lead; ++i)
    if (!same(at[i], out[i]))
      return failure();
  for (size_t i = width; i < in.size(); ++i)
    if (!same(in[i], out[lead + i - width]))
      return failure();
  return success();
}

LogicalResult AxisAnalysis::relateProduct(Operation *op, std::string &reason) {
  Layout a = layout(op->getOperand(0)), b = layout(op->getOperand(1)), out = layout(op->getResult(0));
  if (isOnnx(op, {"Gemm"})) {
    if (intAttr(op, "transA", 0))
      std::swap(a[0], a[1]);
    if (intAttr(op, "transB", 0))
      std::swap(b[0], b[1]);
    if (Value bias = getInput(op, 2)) {
      Layout c = layout(bias);
      for (auto [inDim, outDim] : llvm::zip(llvm::reverse(c), llvm::reverse(out)))
        if (!inDim.empty() && !unify(inDim, outDim))
          return failure();
    }
  }
  if (a.size() < 2 || b.size() < 2) {
    reason = "a product with a vector";
    return failure();
  }
  if (!unify(a.back(), b[b.size() - 2]) || !unify(a[a.size() - 2], out[out.size() - 2]) || !unify(b.back(), out.back()))
    return failure();
  for (size_t i = 3; i <= out.size(); ++i)
    for (Layout *in : {&a, &b})
      if (i <= in->size()) {
        Axes &dim = (*in)[in->size() - i];
        if (!dim.empty() && !unify(dim, out[out.size() - i]))
          return failure();
      }
  return success();
}

SmallVector<std::string> moe::einsumTerms(Operation *op) {
  SmallVector<std::string> terms;
  auto equation = op->getAttrOfType<StringAttr>("equation");
  if (!equation || equation.getValue().contains("..."))
    return terms;
  std::string text = equation.getValue().str();
  llvm::erase(text, ' ');
  auto [inputs, output] = StringRef(text).split("->");
  if (!StringRef(text).contains("->"))
    return terms;
  SmallVector<StringRef> parts;
  inputs.split(parts, ',');
  for (StringRef part : parts)
    terms.push_back(part.str());
  if (terms.size() != op->getNumOperands())
    return {};
  terms.push_back(output.str());
  return terms;
}

LogicalResult AxisAnalysis::relateEinsum(Operation *op, std::string &reason) {
  SmallVector<std::string> terms = einsumTerms(op);
  if (terms.empty()) {
    reason = "an Einsum with dots or an implied output";
    return failure();
  }
  llvm::DenseMap<char, Axes> letters;
  SmallVector<Value> values(op->getOperands());
  values.push_back(op->getResult(0));
  for (auto [term, value] : llvm::zip(terms, values)) {
    Layout dims = layout(value);
    if (dims.size() != term.size())
      return failure();
    for (auto [letter, dim] : llvm::zip(term, dims)) {
      auto [it, isNew] = letters.try_emplace(letter, dim);
      if (isNew || dim.empty())
        continue;
      if (it->second.empty())
        it->second = dim;
      else if (!unify(it->second, dim))
        return failure();
    }
  }
  return success();
}

std::optional<Axes> AxisAnalysis::positions(Value value) {
  std::string reason;
  if (std::optional<SmallVector<int64_t>> numbers = constantIntegers(value)) {
    // 0 0 1 1 2 2 ...: counts over an axis, each position repeated.
    int64_t n = numbers->size(), repeat = n;
    for (int64_t i = 1; i < n; ++i)
      if ((*numbers)[i] != 0) {
        repeat = i;
        break;
      }
    if (n < 2 || n % repeat != 0)
      return std::nullopt;
    for (int64_t i = 0; i < n; ++i)
      if ((*numbers)[i] != i / repeat)
        return std::nullopt;
    Axes all = leaves(value);
    if (repeat == 1)
      return all;
    Extent inner, outer;
    inner.factor = repeat;
    outer.factor = n / repeat;
    if (outer.isOne())
      return std::nullopt;
    int a = space.make(outer), b = space.make(inner);
    if (!unify(all, {a, b}))
      return std::nullopt;
    return Axes{a};
  }
  Operation *op = value.getDefiningOp();
  if (!op)
    return std::nullopt;
  if (isOnnx(op, {"Range"})) {
    auto start = onnx::getConstantScalar(op->getOperand(0)), delta = onnx::getConstantScalar(op->getOperand(2));
    if (!start || !delta || *start != 0 || *delta != 1)
      return std::nullopt;
    return leaves(value);
  }
  if (isLayoutOp(op) || isOnnx(op, {"Cast"})) {
    if (failed(relate(op, reason)))
      return std::nullopt;
    return positions(op->getOperand(0));
  }
  if (isOnnx(op, {"Div"})) {
    auto divisor = onnx::getConstantScalar(op->getOperand(1));
    if (!divisor || *divisor < 1 || failed(relate(op, reason)))
      return std::nullopt;
    std::optional<Axes> axes = positions(op->getOperand(0));
    if (!axes || *divisor == 1)
      return axes;
    Extent inner;
    inner.factor = static_cast<int64_t>(*divisor);
    std::optional<Extent> outer = space.extent(space.leaves(*axes)).over(inner);
    if (!outer || outer->isOne())
      return std::nullopt;
    int a = space.make(*outer), b = space.make(inner);
    if (!unify(*axes, {a, b}))
      return std::nullopt;
    return Axes{a};
  }
  return std::nullopt;
}

LogicalResult AxisAnalysis::relate(Operation *op, std::string &reason) {
  if (related.contains(op))
    return success();
  auto done = [&](LogicalResult result) {
    if (succeeded(result))
      related.insert(op);
    else if (reason.empty())
      reason = ("the extents of '" + op->getName().stripDialect() + "' do not fit").str();
    return result;
  };
  StringRef name = op->getName().stripDialect();
  if (!isOnnx(op)) {
    reason = ("an op that is no ONNX node, '" + op->getName().getStringRef() + "'").str();
    return failure();
  }
  if (isElementwise(op))
    return done(relateElementwise(op));
  if (name == "Reshape" || name == "Squeeze" || name == "Unsqueeze" || name == "Flatten")
    return done(success(unify(space.leaves(layout(op->getOperand(0))), space.leaves(layout(op->getResult(0))))));
  if (name == "Transpose") {
    Layout in = layout(op->getOperand(0)), out = layout(op->getResult(0));
    SmallVector<int64_t> perm = permutation(op);
    for (size_t i = 0; i < perm.size(); ++i)
      if (!unify(in[perm[i]], out[i]))
        return done(failure());
    return done(success());
  }
  if (name == "Expand" || name == "Tile") {
    Layout in = layout(op->getOperand(0)), out = layout(op->getResult(0));
    if (in.size() > out.size())
      return done(failure());
    for (auto [inDim, outDim] : llvm::zip(llvm::reverse(in), llvm::reverse(out))) {
      if (inDim.empty())
        continue;
      std::optional<Extent> repeat = space.extent(space.leaves(outDim)).over(space.extent(space.leaves(inDim)));
      if (!repeat)
        return done(failure());
      Axes target = inDim;
      if (!repeat->isOne())
        target.insert(target.begin(), space.make(*repeat));
      if (!unify(target, outDim))
        return done(failure());
    }
    return done(success());
  }
  if (name == "Gather" || name == "GatherND" || name == "GatherElements")
    return done(relateGather(op, reason));
  if (name == "MatMul" || name == "Gemm")
    return done(relateProduct(op, reason));
  if (name == "Einsum")
    return done(relateEinsum(op, reason));
  if (name == "Slice" || name == "Split" || name == "Concat") {
    // Along the cut axes the results have axes of their own.
    std::optional<SmallVector<int64_t>> cut = cutAxes(op);
    if (!cut) {
      reason = "a Slice along axes that are not constant";
      return failure();
    }
    for (Value operand : name == "Concat" ? op->getOperands() : op->getOperands().take_front())
      for (Value result : op->getResults()) {
        Layout in = layout(operand), out = layout(result);
        for (size_t i = 0; i < out.size(); ++i)
          if ((!llvm::is_contained(*cut, static_cast<int64_t>(i)) ||
               space.extent(space.leaves(in[i])) == space.extent(space.leaves(out[i]))) &&
              (name != "Concat" || !llvm::is_contained(*cut, static_cast<int64_t>(i))) && !unify(in[i], out[i]))
            return done(failure());
      }
    return done(success());
  }
  if (name.starts_with("Reduce")) {
    std::optional<SmallVector<int64_t>> axes = reducedAxes(op);
    if (!axes) {
      reason = "a reduction along axes that are not constant";
      return failure();
    }
    Layout in = layout(op->getOperand(0)), out = layout(op->getResult(0));
    bool keep = intAttr(op, "keepdims", 1);
    for (size_t i = 0, o = 0; i < in.size(); ++i) {
      if (llvm::is_contained(*axes, static_cast<int64_t>(i))) {
        o += keep;
        continue;
      }
      if (!unify(in[i], out[o++]))
        return done(failure());
    }
    return done(success());
  }
  if (name == "ScatterElements") {
    Layout data = layout(op->getOperand(0)), at = layout(op->getOperand(1)), updates = layout(op->getOperand(2)),
           out = layout(op->getResult(0));
    int64_t axis = axisOf(op, "axis", 0, data.size());
    for (size_t i = 0; i < data.size(); ++i)
      if (!unify(data[i], out[i]) || !unify(at[i], updates[i]) ||
          (static_cast<int64_t>(i) != axis && !unify(at[i], out[i])))
        return done(failure());
    return done(success());
  }
  if (name == "ScatterND") {
    Layout data = layout(op->getOperand(0)), at = layout(op->getOperand(1)), updates = layout(op->getOperand(2)),
           out = layout(op->getResult(0));
    int64_t width = cast<RankedTensorType>(op->getOperand(1).getType()).getShape().back();
    if (ShapedType::isDynamic(width))
      return done(failure());
    size_t lead = at.size() - 1;
    for (size_t i = 0; i < data.size(); ++i)
      if (!unify(data[i], out[i]))
        return done(failure());
    for (size_t i = 0; i < lead; ++i)
      if (!space.equate(at[i], updates[i]))
        return done(failure());
    for (size_t i = width; i < data.size(); ++i)
      if (!unify(data[i], updates[lead + i - width]))
        return done(failure());
    if (width == 1)
      if (std::optional<Axes> axes = positions(op->getOperand(1)))
        if (!unify(*axes, data[0]))
          return done(failure());
    return done(success());
  }
  if (name == "OneHot") {
    Layout in = layout(op->getOperand(0)), out = layout(op->getResult(0));
    int64_t axis = axisOf(op, "axis", -1, out.size());
    for (size_t i = 0, o = 0; i < in.size(); ++i, ++o) {
      if (static_cast<int64_t>(o) == axis)
        ++o;
      if (!unify(in[i], out[o]))
        return done(failure());
    }
    return done(success());
  }
  if (name == "Softmax") {
    Layout in = layout(op->getOperand(0)), out = layout(op->getResult(0));
    for (auto [a, b] : llvm::zip(in, out))
      if (!unify(a, b))
        return done(failure());
    return done(success());
  }
  reason = ("'" + name + "'").str();
  return failure();
}
