//===- RowExpr.cpp - a region over rows as one expression per element ------===//
#include "RowExpr.h"

#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::moe;

/// Dims that a position may refer to: above the rank of any tensor.
static constexpr unsigned kMaxDims = 32;

bool RowEvaluator::same(const RowExpr *a, const RowExpr *b) {
  if (a == b)
    return true;
  return a->kind == b->kind && a->type == b->type && a->at == b->at && a->param == b->param && a->tensor == b->tensor &&
         a->product == b->product && a->value == b->value && a->identity == b->identity &&
         a->operands.size() == b->operands.size() &&
         llvm::all_of(llvm::zip(a->operands, b->operands), [](auto p) { return same(std::get<0>(p), std::get<1>(p)); });
}

const RowExpr *RowEvaluator::rowLeaf(Value tensor, Type element, AffineExpr row, AffineExpr column) {
  RowExpr *leaf = make(RowExpr::Row, element);
  leaf->tensor = tensor;
  leaf->at = {row, column};
  return leaf;
}

const RowExpr *RowEvaluator::accLeaf(const RowProduct *product, AffineExpr row, AffineExpr column) {
  RowExpr *leaf = make(RowExpr::Acc, Float32Type::get(context));
  leaf->product = product;
  leaf->at = {row, column};
  return leaf;
}

const RowExpr *RowEvaluator::function(Type type, const void *identity, ArrayRef<const RowExpr *> operands,
                                      std::function<Value(OpBuilder &, Location, ValueRange)> fn) {
  RowExpr *expr = make(RowExpr::Fn, type);
  expr->operands.assign(operands.begin(), operands.end());
  expr->fn = std::move(fn);
  expr->identity = identity;
  return expr;
}

const RowExpr *RowEvaluator::substitute(const RowExpr *root, ArrayRef<AffineExpr> at) {
  DenseMap<const RowExpr *, const RowExpr *> done;
  std::function<const RowExpr *(const RowExpr *)> visit = [&](const RowExpr *expr) -> const RowExpr * {
    if (auto it = done.find(expr); it != done.end())
      return it->second;
    RowExpr copy = *expr;
    for (AffineExpr &e : copy.at)
      e = simplifyAffineExpr(e.replaceDims(at), kMaxDims, 0);
    for (const RowExpr *&operand : copy.operands)
      operand = visit(operand);
    const RowExpr *result = expr;
    if (copy.at != expr->at || copy.operands != expr->operands) {
      exprs.push_back(std::move(copy));
      result = &exprs.back();
    }
    done[expr] = result;
    return result;
  };
  return visit(root);
}

const RowExpr *RowEvaluator::evaluate(Value value) {
  if (auto it = memo.find(value); it != memo.end())
    return it->second;
  const RowExpr *result = nullptr;
  auto type = dyn_cast<RankedTensorType>(value.getType());
  DenseElementsAttr constant;
  if (auto arg = dyn_cast<BlockArgument>(value); arg && arg.getOwner() == &body) {
    RowExpr *leaf = make(arg.getArgNumber() == 0 ? RowExpr::Row : RowExpr::Param, type.getElementType());
    leaf->param = arg.getArgNumber() ? arg.getArgNumber() - 1 : 0;
    leaf->at = dims(type.getRank());
    result = leaf;
  } else if (type && matchPattern(value, m_Constant(&constant)) && constant.isSplat()) {
    RowExpr *leaf = make(RowExpr::Constant, type.getElementType());
    leaf->value = constant.getSplatValue<TypedAttr>();
    result = leaf;
  } else if (type && (matchPattern(value, m_Constant()) || value.getDefiningOp<GetWeightOp>())) {
    RowExpr *leaf = make(RowExpr::Shared, type.getElementType());
    leaf->tensor = value;
    leaf->at = dims(type.getRank());
    result = leaf;
  } else if (type && isa<OpResult>(value)) {
    result = evaluateOp(value.getDefiningOp(), cast<OpResult>(value).getResultNumber());
  } else {
    result = fail("a value of its region is no tensor of rows");
  }
  return memo[value] = result;
}

/// Position in the source of each element of a reshape's result, for reassociation groups of static inner sizes.
static bool expandPositions(ArrayRef<ReassociationIndices> groups, ArrayRef<int64_t> wide, ArrayRef<AffineExpr> at,
                            SmallVector<AffineExpr> &out) {
  for (const ReassociationIndices &group : groups) {
    AffineExpr e = getAffineConstantExpr(0, at[0].getContext());
    for (auto [i, dim] : llvm::enumerate(group)) {
      if (i > 0 && ShapedType::isDynamic(wide[dim]))
        return false;
      e = i == 0 ? at[dim] : e * wide[dim] + at[dim];
    }
    out.push_back(e);
  }
  return true;
}
static bool collapsePositions(ArrayRef<ReassociationIndices> groups, ArrayRef<int64_t> wide, ArrayRef<AffineExpr> at,
                              SmallVector<AffineExpr> &out) {
  out.resize(wide.size());
  for (auto [n, group] : llvm::enumerate(groups)) {
    AffineExpr rest = at[n];
    for (int64_t i = group.size() - 1; i > 0; --i) {
      int64_t size = wide[group[i]];
      if (ShapedType::isDynamic(size) || size < 1)
        return false;
      out[group[i]] = rest % size;
      rest = rest.floorDiv(size);
    }
    out[group[0]] = rest;
  }
  return true;
}

const RowExpr *RowEvaluator::evaluateOp(Operation *op, unsigned result) {
  auto resultType = cast<RankedTensorType>(op->getResult(result).getType());
  unsigned rank = resultType.getRank();
  auto viewOf = [&](Value source, ArrayRef<AffineExpr> at) -> const RowExpr * {
    const RowExpr *e = evaluate(source);
    return e ? substitute(e, at) : nullptr;
  };
  if (auto cast = dyn_cast<tensor::CastOp>(op))
    return evaluate(cast.getSource());
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
    llvm::SmallBitVector dropped = slice.getDroppedDims();
    SmallVector<AffineExpr> at;
    unsigned next = 0;
    for (unsigned i = 0; i < dropped.size(); ++i) {
      auto offset = getConstantIntValue(slice.getMixedOffsets()[i]),
           stride = getConstantIntValue(slice.getMixedStrides()[i]);
      if (!offset || !stride)
        return fail("a slice of its region has offsets that are not constant");
      AffineExpr d = dropped[i] ? getAffineConstantExpr(0, context) : getAffineDimExpr(next++, context);
      at.push_back(d * *stride + *offset);
    }
    return viewOf(slice.getSource(), at);
  }
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op)) {
    SmallVector<AffineExpr> at;
    if (!expandPositions(expand.getReassociationIndices(), resultType.getShape(), dims(rank), at))
      return fail("a reshape of its region has inner sizes that are not static");
    return viewOf(expand.getSrc(), at);
  }
  if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op)) {
    SmallVector<AffineExpr> at;
    if (!collapsePositions(collapse.getReassociationIndices(), collapse.getSrcType().getShape(), dims(rank), at))
      return fail("a reshape of its region has inner sizes that are not static");
    return viewOf(collapse.getSrc(), at);
  }
  if (auto swiglu = dyn_cast<SwigluOp>(op)) {
    const RowExpr *gate = evaluate(swiglu.getGate()), *up = gate ? evaluate(swiglu.getUp()) : nullptr;
    if (!up)
      return nullptr;
    float alpha = swiglu.getAlpha().convertToFloat(), beta = swiglu.getBeta().convertToFloat(),
          limit = swiglu.getLimit().convertToFloat();
    return function(resultType.getElementType(), op, {gate, up}, [=](OpBuilder &b, Location loc, ValueRange v) {
      return buildSwiglu(b, loc, v[0], v[1], alpha, beta, limit);
    });
  }
  if (auto linalgOp = dyn_cast<linalg::LinalgOp>(op))
    return evaluateLinalg(linalgOp, result);
  return fail("its region holds '" + op->getName().getStringRef() + "'");
}

const RowExpr *RowEvaluator::evaluateScalar(Value scalar, Block *block, ArrayRef<const RowExpr *> arguments,
                                            DenseMap<Value, const RowExpr *> &known) {
  if (auto it = known.find(scalar); it != known.end())
    return it->second;
  TypedAttr value;
  const RowExpr *result = nullptr;
  if (auto arg = dyn_cast<BlockArgument>(scalar); arg && arg.getOwner() == block) {
    result = arguments[arg.getArgNumber()];
    if (!result)
      return fail("an element-wise operation of its region reads its init");
  } else if (matchPattern(scalar, m_Constant(&value))) {
    RowExpr *leaf = make(RowExpr::Constant, scalar.getType());
    leaf->value = value;
    result = leaf;
  } else if (Operation *op = scalar.getDefiningOp(); op && op->getNumRegions() == 0 && op->getNumResults() == 1 &&
                                                     isPure(op) && !isa<linalg::IndexOp>(op) &&
                                                     llvm::none_of(op->getOperandTypes(), llvm::IsaPred<ShapedType>)) {
    SmallVector<const RowExpr *> operands;
    for (Value v : op->getOperands()) {
      operands.push_back(evaluateScalar(v, block, arguments, known));
      if (!operands.back())
        return nullptr;
    }
    result = function(scalar.getType(), op, operands, [op](OpBuilder &b, Location loc, ValueRange v) {
      IRMapping map;
      map.map(op->getOperands(), v);
      Operation *copy = b.clone(*op, map);
      copy->setLoc(loc);
      return copy->getResult(0);
    });
  } else {
    return fail("an element-wise operation of its region holds '" +
                (op ? op->getName().getStringRef() : StringRef("a block argument")) + "'");
  }
  return known[scalar] = result;
}

const RowExpr *RowEvaluator::evaluateLinalg(linalg::LinalgOp op, unsigned result) {
  if (!op.hasPureTensorSemantics())
    return fail("its region holds buffers");
  if (op.getNumReductionLoops() != 0)
    return evaluateContraction(op);
  AffineMap resultMap = op.getMatchingIndexingMap(op.getDpsInitOperand(result));
  if (!resultMap.isPermutation())
    return fail("an element-wise operation of its region writes through a map that is no permutation");
  // Loop dims in terms of the result's dims.
  SmallVector<AffineExpr> loops = llvm::to_vector(inversePermutation(resultMap).getResults());
  SmallVector<const RowExpr *> arguments;
  Block *block = op.getBlock();
  for (OpOperand &operand : op->getOpOperands()) {
    BlockArgument arg = op.getMatchingBlockArgument(&operand);
    if (arg.use_empty()) {
      arguments.push_back(nullptr);
      continue;
    }
    if (!isa<RankedTensorType>(operand.get().getType())) {
      TypedAttr value;
      if (!matchPattern(operand.get(), m_Constant(&value)))
        return fail("an operation of its region reads a scalar that is not constant");
      RowExpr *leaf = make(RowExpr::Constant, operand.get().getType());
      leaf->value = value;
      arguments.push_back(leaf);
      continue;
    }
    const RowExpr *e = evaluate(operand.get());
    if (!e)
      return nullptr;
    SmallVector<AffineExpr> at;
    for (AffineExpr position : op.getMatchingIndexingMap(&operand).getResults())
      at.push_back(position.replaceDims(loops));
    arguments.push_back(substitute(e, at));
  }
  DenseMap<Value, const RowExpr *> known;
  return evaluateScalar(block->getTerminator()->getOperand(result), block, arguments, known);
}

/// acc' = acc + ext(a) * ext(b): the arguments a and b, and whether that is the body.
static bool isMulAdd(Block *block) {
  auto add = block->getTerminator()->getOperand(0).getDefiningOp<arith::AddFOp>();
  if (!add || block->getNumArguments() != 3)
    return false;
  Value accumulator = block->getArgument(2);
  Value product = add.getLhs() == accumulator ? add.getRhs() : add.getRhs() == accumulator ? add.getLhs() : Value();
  auto mul = product ? product.getDefiningOp<arith::MulFOp>() : arith::MulFOp();
  if (!mul)
    return false;
  auto strip = [](Value v) {
    auto ext = v.getDefiningOp<arith::ExtFOp>();
    return ext ? ext.getIn() : v;
  };
  Value a = strip(mul.getLhs()), b = strip(mul.getRhs());
  Value first = block->getArgument(0), second = block->getArgument(1);
  return (a == first && b == second) || (a == second && b == first);
}

const RowExpr *RowEvaluator::evaluateContraction(linalg::LinalgOp op) {
  Type element = cast<RankedTensorType>(op->getResult(0).getType()).getElementType();
  if (op.getNumReductionLoops() != 1 || op.getNumDpsInputs() != 2 || op->getNumResults() != 1 ||
      !isMulAdd(op.getBlock()) || element.getIntOrFloatBitWidth() > 32)
    return fail("a reduction of its region is no product of rows with weights");
  SmallVector<unsigned> reductions;
  op.getReductionDims(reductions);
  AffineMap resultMap = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  if (!resultMap.isProjectedPermutation() || resultMap.getNumResults() + 1 != op.getNumLoops())
    return fail("a product of its region writes through a map that is no permutation");
  const RowExpr *a = evaluate(op.getDpsInputOperand(0)->get()),
                *b = a ? evaluate(op.getDpsInputOperand(1)->get()) : nullptr;
  const RowExpr *init = b ? evaluate(op.getDpsInitOperand(0)->get()) : nullptr;
  if (!init)
    return nullptr;
  int rowsOperand = a->kind == RowExpr::Param ? 1 : 0;
  const RowExpr *rows = rowsOperand ? b : a, *weight = rowsOperand ? a : b;
  if (weight->kind != RowExpr::Param)
    return fail("a product of its region has no param as its weights");
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  // Which loop is the row, which the column: of the result's loops, the row's is the dynamic one.
  int64_t k = ranges[reductions[0]], columns = 1;
  int rowLoop = -1, columnLoop = -1;
  for (AffineExpr e : resultMap.getResults()) {
    unsigned d = cast<AffineDimExpr>(e).getPosition();
    if (ShapedType::isDynamic(ranges[d]) && rowLoop < 0)
      rowLoop = d;
    else if (ranges[d] == 1)
      continue;
    else if (!ShapedType::isDynamic(ranges[d]) && columnLoop < 0)
      columnLoop = d, columns = ranges[d];
    else
      return fail("a product of its region has more than rows and columns");
  }
  if (rowLoop < 0 || ShapedType::isDynamic(k))
    return fail("a product of its region has no rows, or a depth that is not static");
  auto place = [&](const RowExpr *e, OpOperand *operand, bool ofRows) {
    SmallVector<AffineExpr> loops(op.getNumLoops(), getAffineConstantExpr(0, context)), at;
    loops[reductions[0]] = getAffineDimExpr(1, context);
    if (ofRows)
      loops[rowLoop] = getAffineDimExpr(0, context);
    else if (columnLoop >= 0)
      loops[columnLoop] = getAffineDimExpr(0, context);
    AffineMap map = op.getMatchingIndexingMap(operand);
    // Rows must not depend on the column, weights not on the row.
    int other = ofRows ? columnLoop : rowLoop;
    if (other >= 0 && map.isFunctionOfDim(other))
      return static_cast<const RowExpr *>(nullptr);
    for (AffineExpr p : map.getResults())
      at.push_back(p.replaceDims(loops));
    return substitute(e, at);
  };
  rows = place(rows, op.getDpsInputOperand(rowsOperand), true);
  weight = place(weight, op.getDpsInputOperand(1 - rowsOperand), false);
  if (!rows || !weight)
    return fail("a product of its region mixes rows and columns");
  products.push_back({rows, weight, columns, k, static_cast<unsigned>(products.size())});
  RowExpr *acc = make(RowExpr::Acc, Float32Type::get(context));
  acc->product = &products.back();
  acc->at = {getAffineDimExpr(0, context), getAffineConstantExpr(0, context)};
  for (auto [i, e] : llvm::enumerate(resultMap.getResults())) {
    int d = cast<AffineDimExpr>(e).getPosition();
    if (d == rowLoop)
      acc->at[0] = getAffineDimExpr(i, context);
    else if (d == columnLoop)
      acc->at[1] = getAffineDimExpr(i, context);
  }
  const RowExpr *result = acc;
  static const char truncation = 0, addition = 0;
  if (!element.isF32())
    result = function(element, &truncation, {result}, [element](OpBuilder &b, Location loc, ValueRange v) -> Value {
      return arith::TruncFOp::create(b, loc, element, v[0]);
    });
  bool zero = init->kind == RowExpr::Constant && isa<FloatAttr>(init->value) &&
              cast<FloatAttr>(init->value).getValue().isZero();
  if (!zero)
    result = function(element, &addition, {init, result}, [](OpBuilder &b, Location loc, ValueRange v) -> Value {
      return arith::AddFOp::create(b, loc, v[0], v[1]);
    });
  return result;
}
