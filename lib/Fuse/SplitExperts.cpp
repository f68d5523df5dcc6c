//===- SplitExperts.cpp - moe.experts as grouped products ------------------===//
//
//   %y = moe.experts %x, %weights, %indices params(%w1, %w2) { down(silu(gate(x)) * up(x)) }
//     ->
//   %offsets, %order, %position = moe.dispatch %indices
//   %h = moe.grouped_matmul %x weights(%gate, %up) offsets(%offsets) rows(%order) { silu(acc0) * acc1 }
//   %o = moe.grouped_matmul %h weights(%w2) offsets(%offsets) { acc0 }
//   %y = moe.combine %o at %position weights(%weights)
//
// The region is read as one scalar expression per element (RowExpr.h). To compute an expression over [P, N]: the
// products it reads that come last become one grouped product whose epilogue is the expression; what it reads of
// earlier products is computed first and enters as an extra. An expression without products is a linalg.generic over the
// sorted rows. What has no such form (a reduction over a row inside the region) is run for every expert over all rows.
//
//===----------------------------------------------------------------------===//
#include "RowExpr.h"
#include "moe/Fuse/WeightTable.h"

#include "mlir/IR/Matchers.h"

namespace mlir::moe {
#define GEN_PASS_DEF_SPLITEXPERTS
#include "moe/Fuse/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

Value moe::buildSwiglu(OpBuilder &b, Location loc, Value gate, Value up, float alpha, float beta, float limit) {
  Type type = gate.getType(), f32 = b.getF32Type();
  auto constant = [&](float v) -> Value { return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(v)); };
  bool wide = type.getIntOrFloatBitWidth() < 32;
  if (wide) {
    gate = arith::ExtFOp::create(b, loc, f32, gate);
    up = arith::ExtFOp::create(b, loc, f32, up);
  }
  if (limit != std::numeric_limits<float>::infinity()) {
    gate = arith::MinimumFOp::create(b, loc, gate, constant(limit));
    up = arith::MaximumFOp::create(b, loc, arith::MinimumFOp::create(b, loc, up, constant(limit)), constant(-limit));
  }
  Value scaled = alpha == 1.0f ? gate : arith::MulFOp::create(b, loc, gate, constant(alpha));
  Value exp = math::ExpOp::create(b, loc, arith::NegFOp::create(b, loc, scaled));
  Value one = constant(1.0f);
  Value sigmoid = arith::DivFOp::create(b, loc, one, arith::AddFOp::create(b, loc, one, exp));
  if (beta != 0.0f)
    up = arith::AddFOp::create(b, loc, up, constant(beta));
  Value result = arith::MulFOp::create(b, loc, arith::MulFOp::create(b, loc, gate, sigmoid), up);
  return wide ? arith::TruncFOp::create(b, loc, type, result) : result;
}

namespace {

/// A row's element times its routing weight, in f32.
Value scaleRow(OpBuilder &b, Location loc, Value element, Value weight) {
  Type type = element.getType(), f32 = b.getF32Type();
  auto widen = [&](Value v) -> Value { return v.getType() == f32 ? v : arith::ExtFOp::create(b, loc, f32, v); };
  Value product = arith::MulFOp::create(b, loc, widen(element), widen(weight));
  return type == f32 ? product : arith::TruncFOp::create(b, loc, type, product);
}

/// Splits one moe.experts. Nothing is emitted before everything is known to have a form.
class Splitter {
public:
  Splitter(ExpertsOp op, WeightTable &weights)
      : op(op), b(op), loc(op.getLoc()), weights(weights), evaluator(op.getBody().front()) {}

  LogicalResult run();
  std::string reason;

private:
  int64_t width() { return cast<RankedTensorType>(op.getResults()[0].getType()).getDimSize(1); }
  AffineExpr dim(unsigned i) { return getAffineDimExpr(i, b.getContext()); }
  bool isIdentity(ArrayRef<AffineExpr> at) { return at.size() == 2 && at[0] == dim(0) && at[1] == dim(1); }

  // Checking (emits nothing).
  LogicalResult check(const RowExpr *expr, int64_t columns);
  LogicalResult checkLeaf(const RowExpr *leaf, bool weight);
  // Building.
  Value materialize(const RowExpr *expr, int64_t columns);
  Value product(ArrayRef<const RowExpr *> accs, const RowExpr *expr, int64_t columns);
  Value elementwise(const RowExpr *expr, int64_t columns);
  Bank bankAt(Value param, ArrayRef<AffineExpr> at, ArrayRef<int64_t> extents, bool hasExperts);
  Value scalar(OpBuilder &inner, const RowExpr *expr, DenseMap<const RowExpr *, Value> &known,
               function_ref<Value(OpBuilder &, const RowExpr *)> leaf);
  const RowExpr *replaceAccs(const RowExpr *expr, const RowExpr *rows);

  LogicalResult fail(const Twine &why) {
    if (reason.empty())
      reason = why.str();
    return failure();
  }

  ExpertsOp op;
  OpBuilder b;
  Location loc;
  WeightTable &weights;
  RowEvaluator evaluator;
  Value offsets, order, position;
  SmallVector<std::tuple<const RowExpr *, int64_t, Value>> done;
};

} // namespace

static void collect(const RowExpr *expr, RowExpr::Kind kind, SmallVectorImpl<const RowExpr *> &leaves) {
  if (expr->kind == kind && llvm::none_of(leaves, [&](const RowExpr *l) { return RowEvaluator::same(l, expr); }))
    leaves.push_back(expr);
  for (const RowExpr *operand : expr->operands)
    collect(operand, kind, leaves);
}

/// `e` as offset + stride * d with at most one dim of 0..n-1; dim = -1 for a constant.
static bool linearForm(AffineExpr e, unsigned n, int64_t &offset, int64_t &stride, int &dim) {
  dim = -1, stride = 0;
  MLIRContext *c = e.getContext();
  SmallVector<AffineExpr> zero(n, getAffineConstantExpr(0, c));
  auto at0 = dyn_cast<AffineConstantExpr>(simplifyAffineExpr(e.replaceDims(zero), n, 0));
  if (!at0)
    return false;
  offset = at0.getValue();
  AffineExpr rest = getAffineConstantExpr(offset, c);
  for (unsigned i = 0; i < n; ++i) {
    if (!e.isFunctionOfDim(i))
      continue;
    if (dim >= 0)
      return false;
    dim = i;
    zero[i] = getAffineConstantExpr(1, c);
    auto at1 = dyn_cast<AffineConstantExpr>(simplifyAffineExpr(e.replaceDims(zero), n, 0));
    if (!at1)
      return false;
    stride = at1.getValue() - offset;
    rest = rest + getAffineDimExpr(i, c) * stride;
  }
  return offset >= 0 && (dim < 0 || stride >= 1) && simplifyAffineExpr(e - rest, n, 0) == getAffineConstantExpr(0, c);
}

//===----------------------------------------------------------------------===//
// Checking
//===----------------------------------------------------------------------===//

/// Whether a constant leaf has a form: every extent's dim at most once, and, for the weight of a product, at all.
LogicalResult Splitter::checkLeaf(const RowExpr *leaf, bool weight) {
  llvm::SmallBitVector seen(2);
  for (AffineExpr e : leaf->at) {
    int64_t offset, stride;
    int d;
    if (!linearForm(e, 2, offset, stride, d) || (!weight && d == 0) || (d >= 0 && seen.test(d)))
      return fail("a param is read at positions that are no slice");
    if (d >= 0)
      seen.set(d);
  }
  return weight && !seen.all() ? fail("a weight does not depend on the row's elements") : success();
}

LogicalResult Splitter::check(const RowExpr *expr, int64_t columns) {
  int64_t offset, stride;
  int d;
  switch (expr->kind) {
  case RowExpr::Constant:
    return success();
  case RowExpr::Row:
    if (expr->at[0] != dim(0) || !linearForm(expr->at[1], 2, offset, stride, d) || d == 0)
      return fail("rows are read at positions that are no slice");
    return success();
  case RowExpr::Param:
  case RowExpr::Shared:
    return checkLeaf(expr, false);
  case RowExpr::Acc: {
    const RowProduct &p = *expr->product;
    if (expr->at[0] != dim(0) || !linearForm(expr->at[1], 2, offset, stride, d) || d == 0 || (d < 0 && columns != 1))
      return fail("a product is read at columns that are no slice");
    if (!isa<FloatType>(p.weight->type) || !isa<FloatType>(p.rows->type))
      return fail("a product is not of floats");
    const RowExpr *weight = evaluator.substitute(p.weight, {expr->at[1].replaceDims({dim(0), dim(0)}), dim(1)});
    if (failed(checkLeaf(weight, columns != 1)))
      return failure();
    return check(p.rows, p.k);
  }
  case RowExpr::Fn:
    for (const RowExpr *operand : expr->operands)
      if (failed(check(operand, columns)))
        return failure();
    return success();
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Building
//===----------------------------------------------------------------------===//

/// The bank of `param` read at `at` over dims of `extents`: [E, extents...] (without E for what all experts share).
Bank Splitter::bankAt(Value param, ArrayRef<AffineExpr> at, ArrayRef<int64_t> extents, bool hasExperts) {
  Bank bank = weights.bankOf(param);
  SmallVector<int64_t> offsets, sizes, strides, shape, permutation;
  SmallVector<int> dimAt;
  if (hasExperts) {
    offsets.push_back(0), strides.push_back(1), sizes.push_back(bank.type().getDimSize(0)), shape.push_back(sizes[0]);
    dimAt.push_back(-2);
  }
  for (AffineExpr e : at) {
    int64_t offset, stride;
    int d;
    linearForm(e, extents.size(), offset, stride, d);
    offsets.push_back(offset), strides.push_back(d < 0 ? 1 : stride), sizes.push_back(d < 0 ? 1 : extents[d]);
    dimAt.push_back(d);
  }
  llvm::append_range(shape, extents);
  bank = sliceBank(b, loc, bank, offsets, sizes, strides);
  for (int wanted : {-2, -1, 0, 1})
    for (auto [i, d] : llvm::enumerate(dimAt))
      if (d == wanted)
        permutation.push_back(i);
  bank = transposeBank(b, loc, bank, permutation);
  return reshapeBank(b, loc, bank, shape);
}

Value Splitter::scalar(OpBuilder &inner, const RowExpr *expr, DenseMap<const RowExpr *, Value> &known,
                       function_ref<Value(OpBuilder &, const RowExpr *)> leaf) {
  if (auto it = known.find(expr); it != known.end())
    return it->second;
  Value result;
  if (expr->kind == RowExpr::Constant) {
    result = arith::ConstantOp::create(inner, loc, expr->value);
  } else if (expr->kind == RowExpr::Fn) {
    SmallVector<Value> operands;
    for (const RowExpr *operand : expr->operands)
      operands.push_back(scalar(inner, operand, known, leaf));
    result = expr->fn(inner, loc, operands);
  } else {
    result = leaf(inner, expr);
  }
  return known[expr] = result;
}

/// The accumulators of products other than those over `rows` become rows computed beforehand: the whole product once,
/// read where the expression reads it.
const RowExpr *Splitter::replaceAccs(const RowExpr *expr, const RowExpr *rows) {
  if (expr->kind == RowExpr::Acc && !RowEvaluator::same(expr->product->rows, rows)) {
    Value whole = materialize(evaluator.accLeaf(expr->product, dim(0), dim(1)), expr->product->columns);
    return evaluator.rowLeaf(whole, expr->type, expr->at[0], expr->at[1]);
  }
  if (expr->kind != RowExpr::Fn)
    return expr;
  SmallVector<const RowExpr *> operands;
  for (const RowExpr *operand : expr->operands)
    operands.push_back(replaceAccs(operand, rows));
  if (operands == expr->operands)
    return expr;
  return evaluator.function(expr->type, expr->identity, operands, expr->fn);
}

Value Splitter::materialize(const RowExpr *expr, int64_t columns) {
  for (auto &[known, n, value] : done)
    if (n == columns && RowEvaluator::same(known, expr))
      return value;
  SmallVector<const RowExpr *> accs;
  collect(expr, RowExpr::Acc, accs);
  Value value;
  if (accs.empty()) {
    value = elementwise(expr, columns);
  } else {
    const RowExpr *last = *llvm::max_element(
        accs, [](const RowExpr *a, const RowExpr *b) { return a->product->number < b->product->number; });
    expr = replaceAccs(expr, last->product->rows);
    accs.clear();
    collect(expr, RowExpr::Acc, accs);
    value = product(accs, expr, columns);
  }
  done.push_back({expr, columns, value});
  return value;
}

Value Splitter::product(ArrayRef<const RowExpr *> accs, const RowExpr *expr, int64_t columns) {
  const RowProduct &p = *accs[0]->product;
  bool permuted = p.rows->kind == RowExpr::Row && !p.rows->tensor;
  Value x, rows;
  if (permuted && op.getWeightOn() == WeightOn::Output) {
    // Rows of x, gathered inside the product: a slice of its columns is a slice of x.
    int64_t offset, stride;
    int d;
    linearForm(p.rows->at[1], 2, offset, stride, d);
    x = op.getX();
    auto type = cast<RankedTensorType>(x.getType());
    if (offset != 0 || stride != 1 || type.getDimSize(1) != p.k) {
      OpFoldResult tokens = tensor::getMixedSize(b, loc, x, 0);
      x = tensor::ExtractSliceOp::create(b, loc, x, ArrayRef<OpFoldResult>{b.getIndexAttr(0), b.getIndexAttr(offset)},
                                         ArrayRef<OpFoldResult>{tokens, b.getIndexAttr(p.k)},
                                         ArrayRef<OpFoldResult>{b.getIndexAttr(1), b.getIndexAttr(stride)});
    }
    rows = order;
  } else if (p.rows->kind == RowExpr::Row && p.rows->tensor && isIdentity(p.rows->at)) {
    x = p.rows->tensor;
  } else {
    x = materialize(p.rows, p.k);
  }
  SmallVector<Value> banks, extras;
  SmallVector<int64_t> kinds;
  for (const RowExpr *acc : accs) {
    const RowExpr *weight = acc->product->weight;
    AffineExpr column = acc->at[1].replaceDims({dim(0), dim(0)});
    SmallVector<AffineExpr> at;
    for (AffineExpr e : weight->at)
      at.push_back(simplifyAffineExpr(e.replaceDims({column, dim(1)}), 2, 0));
    banks.push_back(weights.materialize(b, loc, bankAt(op.getParams()[weight->param], at, {columns, p.k}, true)));
  }
  // What else the expression reads: one extra for each leaf.
  SmallVector<const RowExpr *> leaves;
  for (RowExpr::Kind kind : {RowExpr::Row, RowExpr::Param, RowExpr::Shared})
    collect(expr, kind, leaves);
  for (const RowExpr *leaf : leaves) {
    if (leaf->kind == RowExpr::Row) {
      bool here =
          leaf->tensor && isIdentity(leaf->at) && cast<ShapedType>(leaf->tensor.getType()).getDimSize(1) == columns;
      bool source = !leaf->tensor && isIdentity(leaf->at) && rows && x == op.getX() &&
                    cast<ShapedType>(x.getType()).getDimSize(1) == columns;
      extras.push_back(here ? leaf->tensor : source ? x : materialize(leaf, columns));
      kinds.push_back(source ? 4 : 0);
      continue;
    }
    bool shared = leaf->kind == RowExpr::Shared;
    SmallVector<AffineExpr> at;
    bool constant = true;
    for (AffineExpr e : leaf->at) {
      at.push_back(e.replaceDims({dim(0), dim(0)}));
      constant &= !e.isFunctionOfDim(1);
    }
    if (constant) { // one value for all columns
      extras.push_back(materialize(leaf, columns));
      kinds.push_back(0);
      continue;
    }
    Value param = shared ? leaf->tensor : op.getParams()[leaf->param];
    extras.push_back(weights.materialize(b, loc, bankAt(param, at, {columns}, !shared)));
    kinds.push_back(shared ? 2 : 1);
  }
  int64_t assignments = cast<ShapedType>(order.getType()).getDimSize(0);
  auto type = RankedTensorType::get({assignments, columns}, expr->type);
  auto matmul = GroupedMatmulOp::create(
      b, loc, TypeRange{type}, x, banks, offsets, rows, extras, Value(), ValueRange{}, ValueRange{},
      rows ? cast<ShapedType>(op.getIndices().getType()).getDimSize(1) : 1, 0, 0, kinds);
  Block *block = b.createBlock(&matmul.getEpilogue());
  for (Value bank : banks)
    (void)bank, block->addArgument(b.getF32Type(), loc);
  for (Value extra : extras)
    block->addArgument(cast<ShapedType>(extra.getType()).getElementType(), loc);
  DenseMap<const RowExpr *, Value> known;
  Value result = scalar(b, expr, known, [&](OpBuilder &, const RowExpr *leaf) -> Value {
    ArrayRef<const RowExpr *> list = leaf->kind == RowExpr::Acc ? accs : ArrayRef<const RowExpr *>(leaves);
    auto it = llvm::find_if(list, [&](const RowExpr *l) { return RowEvaluator::same(l, leaf); });
    return block->getArgument((it - list.begin()) + (leaf->kind == RowExpr::Acc ? 0 : accs.size()));
  });
  YieldOp::create(b, loc, result);
  b.setInsertionPointAfter(matmul);
  return matmul.getResults()[0];
}

/// out[p, n] = expr, with x, params and weights read at the row's token, expert and slot.
Value Splitter::elementwise(const RowExpr *expr, int64_t columns) {
  MLIRContext *c = b.getContext();
  Value init =
      tensor::EmptyOp::create(b, loc, {tensor::getMixedSize(b, loc, order, 0), b.getIndexAttr(columns)}, expr->type);
  AffineMap rowMap = AffineMap::get(2, 0, {dim(0)}, c), identity = b.getMultiDimIdentityMap(2);
  auto generic = linalg::GenericOp::create(
      b, loc, init.getType(), order, init, ArrayRef<AffineMap>{rowMap, identity},
      SmallVector<utils::IteratorType>(2, utils::IteratorType::parallel),
      [&](OpBuilder &inner, Location, ValueRange args) {
        Value k = arith::ConstantIndexOp::create(inner, loc, cast<ShapedType>(op.getIndices().getType()).getDimSize(1));
        Value assignment = arith::IndexCastOp::create(inner, loc, inner.getIndexType(), args[0]);
        Value token = arith::DivUIOp::create(inner, loc, assignment, k),
              slot = arith::RemUIOp::create(inner, loc, assignment, k);
        Value row = linalg::IndexOp::create(inner, loc, 0), column = linalg::IndexOp::create(inner, loc, 1), expert;
        auto position = [&](AffineExpr e) -> Value {
          int64_t offset = 0, stride = 0;
          int d;
          linearForm(e, 2, offset, stride, d);
          Value at = arith::ConstantIndexOp::create(inner, loc, offset);
          if (d < 0)
            return at;
          Value s = arith::ConstantIndexOp::create(inner, loc, stride);
          return inner.createOrFold<arith::AddIOp>(loc, at, inner.createOrFold<arith::MulIOp>(loc, column, s));
        };
        DenseMap<const RowExpr *, Value> known;
        Value result = scalar(inner, expr, known, [&](OpBuilder &, const RowExpr *leaf) -> Value {
          SmallVector<Value> at;
          if (leaf->kind == RowExpr::Row) {
            at = {leaf->tensor ? row : token, position(leaf->at[1])};
            Value v = tensor::ExtractOp::create(inner, loc, leaf->tensor ? leaf->tensor : op.getX(), at);
            if (leaf->tensor || op.getWeightOn() == WeightOn::Output)
              return v;
            // weight_on = input: the row of x times its routing weight, in f32.
            Value w = tensor::ExtractOp::create(inner, loc, op.getWeights(), ValueRange{token, slot});
            return scaleRow(inner, loc, v, w);
          }
          for (AffineExpr e : leaf->at)
            at.push_back(position(e));
          if (leaf->kind == RowExpr::Shared)
            return tensor::ExtractOp::create(inner, loc, leaf->tensor, at);
          if (!expert)
            expert = arith::IndexCastOp::create(
                inner, loc, inner.getIndexType(),
                tensor::ExtractOp::create(inner, loc, op.getIndices(), ValueRange{token, slot}));
          at.insert(at.begin(), expert);
          return tensor::ExtractOp::create(inner, loc, op.getParams()[leaf->param], at);
        });
        linalg::YieldOp::create(inner, loc, result);
      });
  return generic.getResult(0);
}

LogicalResult Splitter::run() {
  // Constants and weights that all experts share are values of the surrounding function from here on.
  for (Operation &inner : llvm::make_early_inc_range(op.getBody().front()))
    if (inner.hasTrait<OpTrait::ConstantLike>() || isa<GetWeightOp>(inner))
      inner.moveBefore(op);
  auto yield = cast<YieldOp>(op.getBody().front().getTerminator());
  const RowExpr *result = evaluator.evaluate(yield.getOperand(0));
  if (!result)
    return fail(evaluator.reason);
  if (ShapedType::isDynamic(width()) ||
      ShapedType::isDynamic(cast<ShapedType>(op.getIndices().getType()).getDimSize(1)))
    return fail("the number of experts per token or the width of the result is not static");
  if (failed(check(result, width())))
    return failure();
  int64_t experts = cast<ShapedType>(op.getParams()[0].getType()).getDimSize(0);
  auto indices = cast<RankedTensorType>(op.getIndices().getType());
  int64_t assignments = indices.isDynamicDim(0) ? ShapedType::kDynamic : indices.getDimSize(0) * indices.getDimSize(1);
  auto list = [&](int64_t n) { return RankedTensorType::get({n}, b.getI32Type()); };
  auto dispatch = DispatchOp::create(b, loc, TypeRange{list(experts + 1), list(assignments), list(assignments)},
                                     op.getIndices(), ValueRange{}, experts);
  offsets = dispatch.getResults()[0], order = dispatch.getResults()[1], position = dispatch.getResults()[2];
  Value y = materialize(result, width());
  bool onOutput = op.getWeightOn() == WeightOn::Output;
  auto combine = CombineOp::create(b, loc, op.getResultTypes(), y, position, onOutput ? op.getWeights() : Value(),
                                   Value(), ValueRange{}, indices.getDimSize(1));
  op.replaceAllUsesWith(combine);
  op.erase();
  return success();
}

//===----------------------------------------------------------------------===//
// The loop over experts
//===----------------------------------------------------------------------===//

/// y[a, :] = body of expert e over all rows where e is assignment a's expert, for every e in turn; a = t * k + slot.
static void loopOverExperts(ExpertsOp op) {
  OpBuilder b(op);
  Location loc = op.getLoc();
  auto indices = cast<RankedTensorType>(op.getIndices().getType());
  auto resultType = cast<RankedTensorType>(op.getResults()[0].getType());
  int64_t slots = indices.getDimSize(1), experts = cast<ShapedType>(op.getParams()[0].getType()).getDimSize(0);
  Value k = arith::ConstantIndexOp::create(b, loc, slots), zero = arith::ConstantIndexOp::create(b, loc, 0),
        one = arith::ConstantIndexOp::create(b, loc, 1);
  Value tokens = tensor::DimOp::create(b, loc, op.getX(), zero);
  Value assignments = arith::MulIOp::create(b, loc, tokens, k);
  SmallVector<utils::IteratorType> parallel(2, utils::IteratorType::parallel);
  AffineMap identity = b.getMultiDimIdentityMap(2);
  auto tokenAndSlot = [&](OpBuilder &inner) {
    Value a = linalg::IndexOp::create(inner, loc, 0);
    return SmallVector<Value>{arith::DivUIOp::create(inner, loc, a, k), arith::RemUIOp::create(inner, loc, a, k)};
  };
  // The rows of all assignments.
  auto rowsType = cast<RankedTensorType>(op.getBody().front().getArgument(0).getType());
  Value rowsInit = tensor::EmptyOp::create(
      b, loc, {OpFoldResult(assignments), tensor::getMixedSize(b, loc, op.getX(), 1)}, rowsType.getElementType());
  Value rows = linalg::GenericOp::create(
                   b, loc, rowsInit.getType(), ValueRange{}, rowsInit, ArrayRef<AffineMap>{identity}, parallel,
                   [&](OpBuilder &inner, Location, ValueRange) {
                     SmallVector<Value> at = tokenAndSlot(inner);
                     Value column = linalg::IndexOp::create(inner, loc, 1);
                     Value v = tensor::ExtractOp::create(inner, loc, op.getX(), ValueRange{at[0], column});
                     if (op.getWeightOn() == WeightOn::Input)
                       v = scaleRow(inner, loc, v, tensor::ExtractOp::create(inner, loc, op.getWeights(), at));
                     linalg::YieldOp::create(inner, loc, v);
                   })
                   .getResult(0);
  if (rows.getType() != rowsType)
    rows = tensor::CastOp::create(b, loc, rowsType, rows);
  auto yieldType = RankedTensorType::get({ShapedType::kDynamic, resultType.getDimSize(1)}, resultType.getElementType());
  Value init = tensor::EmptyOp::create(b, loc, yieldType, ValueRange{assignments});
  Value nothing = arith::ConstantOp::create(b, loc, b.getZeroAttr(resultType.getElementType()));
  init = linalg::FillOp::create(b, loc, nothing, init).getResult(0);
  Value last = arith::ConstantIndexOp::create(b, loc, experts);
  auto loop = scf::ForOp::create(b, loc, zero, last, one, init);
  b.setInsertionPointToStart(loop.getBody());
  Value expert = loop.getInductionVar();
  IRMapping map;
  Block &body = op.getBody().front();
  map.map(body.getArgument(0), rows);
  for (auto [param, arg] : llvm::zip(op.getParams(), body.getArguments().drop_front())) {
    auto type = cast<RankedTensorType>(param.getType());
    SmallVector<OpFoldResult> at(type.getRank(), b.getIndexAttr(0)), sizes, strides(type.getRank(), b.getIndexAttr(1));
    at[0] = expert;
    for (int64_t i = 0; i < type.getRank(); ++i)
      sizes.push_back(i == 0 ? OpFoldResult(b.getIndexAttr(1)) : tensor::getMixedSize(b, loc, param, i));
    map.map(arg,
            tensor::ExtractSliceOp::create(b, loc, cast<RankedTensorType>(arg.getType()), param, at, sizes, strides));
  }
  for (Operation &inner : body.without_terminator())
    b.clone(inner, map);
  Value mine = map.lookupOrDefault(cast<YieldOp>(body.getTerminator()).getOperand(0));
  Value merged =
      linalg::GenericOp::create(
          b, loc, yieldType, mine, loop.getRegionIterArgs()[0], ArrayRef<AffineMap>{identity, identity}, parallel,
          [&](OpBuilder &inner, Location, ValueRange args) {
            Value chosen = tensor::ExtractOp::create(inner, loc, op.getIndices(), tokenAndSlot(inner));
            chosen = arith::IndexCastOp::create(inner, loc, inner.getIndexType(), chosen);
            Value is = arith::CmpIOp::create(inner, loc, arith::CmpIPredicate::eq, chosen, expert);
            linalg::YieldOp::create(inner, loc, Value(arith::SelectOp::create(inner, loc, is, args[0], args[1])));
          })
          .getResult(0);
  scf::YieldOp::create(b, loc, merged);
  b.setInsertionPointAfter(loop);
  int64_t total = indices.isDynamicDim(0) ? ShapedType::kDynamic : indices.getDimSize(0) * slots;
  Value positions = tensor::EmptyOp::create(b, loc, {OpFoldResult(assignments)}, b.getI32Type());
  positions =
      linalg::GenericOp::create(
          b, loc, positions.getType(), ValueRange{}, positions, ArrayRef<AffineMap>{b.getMultiDimIdentityMap(1)},
          ArrayRef<utils::IteratorType>{utils::IteratorType::parallel},
          [&](OpBuilder &inner, Location, ValueRange) {
            Value a = linalg::IndexOp::create(inner, loc, 0);
            linalg::YieldOp::create(inner, loc, Value(arith::IndexCastOp::create(inner, loc, inner.getI32Type(), a)));
          })
          .getResult(0);
  auto positionsType = RankedTensorType::get({total}, b.getI32Type());
  if (positions.getType() != positionsType)
    positions = tensor::CastOp::create(b, loc, positionsType, positions);
  auto combine =
      CombineOp::create(b, loc, op.getResultTypes(), loop.getResult(0), positions,
                        op.getWeightOn() == WeightOn::Output ? op.getWeights() : Value(), Value(), ValueRange{}, slots);
  op.replaceAllUsesWith(combine);
  op.erase();
}

namespace {
struct SplitExperts : moe::impl::SplitExpertsBase<SplitExperts> {
  void runOnOperation() override {
    WeightTable weights(getOperation());
    SmallVector<ExpertsOp> all;
    getOperation().walk([&](ExpertsOp op) {
      if (op.getOuts().empty())
        all.push_back(op);
    });
    for (ExpertsOp op : all) {
      Splitter splitter(op, weights);
      if (succeeded(splitter.run())) {
        ++numSplit;
        continue;
      }
      auto slots = cast<ShapedType>(op.getIndices().getType()).getDimSize(1);
      if (ShapedType::isDynamic(slots)) {
        op.emitError() << "expects a static number of experts per token";
        return signalPassFailure();
      }
      op.emitRemark() << "every expert runs on all rows: " << splitter.reason;
      loopOverExperts(op);
      ++numLooped;
    }
  }
};
} // namespace
