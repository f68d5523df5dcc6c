//===- CheckExtents.cpp - extents that must agree are compared when a program runs ---===//
//
// Ops assume that extents agree which two inputs, or an input and a constant of the graph, bring along separately. What is not
// provably so is compared by the host program before anything runs: inputs that do not fit end in a message, never in a
// read past a buffer.
//
//   linalg.generic ins(%a, %b : memref<?xf32>, memref<?xf32>) ...
//   ->  %same = arith.cmpi eq, %dim_a, %dim_b ; cf.assert %same, "..." ; linalg.generic ...
//
// Comparisons of equal expressions fold away: arguments whose `moe.dims` share a name have one extent (the runtime
// compares those itself), and sizes of buffers are the expressions they were allocated with.
//
//===----------------------------------------------------------------------===//
#include "moe/Schedule/Passes.h"
#include "moe/Support/NodeName.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/PatternMatch.h"

namespace mlir::moe {
#define GEN_PASS_DEF_CHECKEXTENTS
#include "moe/Schedule/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
/// Writes the checks in front of one op.
class Checks {
public:
  Checks(OpBuilder &b, Operation *op) : b(b), op(op), loc(op->getLoc()) { b.setInsertionPoint(op); }

  void run() {
    if (auto linalgOp = dyn_cast<linalg::LinalgOp>(op))
      return check(linalgOp);
    TypeSwitch<Operation *>(op)
        .Case<memref::CopyOp, memref::ExpandShapeOp, memref::SubViewOp, GroupedMatmulOp, GroupedOuterProductOp,
              CombineOp, AttentionOp, RopeOp, SwigluOp, RmsNormOp, ScatterOp, TopKOp, ListRowsOp, QuantizeRowsOp,
              CopyRowsOp, RowProductOp>([&](auto known) { check(known); });
  }

private:
  using Predicate = arith::CmpIPredicate;

  int64_t fixed(Value v, int64_t i) { return cast<MemRefType>(v.getType()).getDimSize(i); }
  Value dim(Value v, int64_t i) {
    int64_t size = fixed(v, i);
    if (!ShapedType::isDynamic(size))
      return arith::ConstantIndexOp::create(b, loc, size);
    return memref::DimOp::create(b, loc, v, i);
  }
  Value times(Value a, int64_t factor) {
    return factor == 1 ? a : Value(arith::MulIOp::create(b, loc, a, arith::ConstantIndexOp::create(b, loc, factor)));
  }
  Value size(OpFoldResult fold) {
    if (auto attr = dyn_cast<Attribute>(fold))
      return arith::ConstantIndexOp::create(b, loc, cast<IntegerAttr>(attr).getInt());
    return cast<Value>(fold);
  }

  void require(Predicate predicate, Value a, Value c, const Twine &what) {
    Value holds = arith::CmpIOp::create(b, loc, predicate, a, c);
    std::string message = nodePrefix(loc) + "inputs whose extents do not fit together: '" +
                          op->getName().getStringRef().str() + "' expects " + what.str();
    cf::AssertOp::create(b, loc, holds, message);
  }
  void same(Value a, int64_t i, Value c, int64_t j, const Twine &what) {
    if (a == c && i == j)
      return;
    if (!ShapedType::isDynamic(fixed(a, i)) && fixed(a, i) == fixed(c, j))
      return;
    require(Predicate::eq, dim(a, i), dim(c, j), what);
  }

  /// Operands that walk through one loop have one extent there.
  void check(linalg::LinalgOp linalgOp) {
    SmallVector<std::pair<Value, int64_t>> first(linalgOp.getNumLoops());
    for (OpOperand &operand : op->getOpOperands()) {
      if (!isa<MemRefType>(operand.get().getType()))
        continue;
      for (auto [i, expr] : llvm::enumerate(linalgOp.getMatchingIndexingMap(&operand).getResults()))
        if (auto loop = dyn_cast<AffineDimExpr>(expr)) {
          auto &[value, at] = first[loop.getPosition()];
          if (value)
            same(value, at, operand.get(), i, "operands that agree in dim " + Twine(loop.getPosition()));
          else
            value = operand.get(), at = i;
        }
    }
  }
  void check(memref::CopyOp copy) {
    for (int64_t i = 0; i < cast<MemRefType>(copy.getSource().getType()).getRank(); ++i)
      same(copy.getSource(), i, copy.getTarget(), i, "source and target that agree in dim " + Twine(i));
  }
  /// A reshape keeps the number of elements.
  void check(memref::ExpandShapeOp expand) {
    SmallVector<OpFoldResult> sizes = expand.getMixedOutputShape();
    for (auto [i, group] : llvm::enumerate(expand.getReassociationIndices())) {
      if (!ShapedType::isDynamic(fixed(expand.getSrc(), i)))
        continue;
      Value product = arith::ConstantIndexOp::create(b, loc, 1);
      for (int64_t d : group)
        product = arith::MulIOp::create(b, loc, product, size(sizes[d]));
      require(Predicate::eq, dim(expand.getSrc(), i), product, "a reshape to keep the number of elements");
    }
  }
  /// A slice stays within its buffer: offset + (size - 1) * stride < extent, unless it is empty.
  void check(memref::SubViewOp view) {
    for (int64_t i = 0; i < view.getSourceType().getRank(); ++i) {
      std::optional<int64_t> stride = getConstantIntValue(view.getMixedStrides()[i]);
      if (!stride || *stride < 1)
        continue;
      OpFoldResult offset = view.getMixedOffsets()[i], extent = view.getMixedSizes()[i];
      std::optional<int64_t> o = getConstantIntValue(offset), n = getConstantIntValue(extent);
      int64_t whole = fixed(view.getSource(), i);
      if (o && n && !ShapedType::isDynamic(whole) && *o + std::max<int64_t>(0, *n - 1) * *stride + (*n > 0) <= whole)
        continue;
      Value end = arith::AddIOp::create(b, loc, size(offset), times(size(extent), *stride));
      Value bound = dim(view.getSource(), i);
      if (*stride > 1)
        bound = arith::AddIOp::create(b, loc, bound, arith::ConstantIndexOp::create(b, loc, *stride - 1));
      require(Predicate::sle, end, bound, "a slice within its input in dim " + Twine(i));
    }
  }
  void check(GroupedMatmulOp product) {
    Value out = product.getOuts().front(), x = product.getX();
    same(x, 1, product.getWeights().front(), 2, "x and weights that agree in their summed extent");
    if (product.getRows())
      require(Predicate::sge, times(dim(x, 0), product.getRowsDivisor()), dim(out, 0),
              "a row of x for each row of the result");
    else
      same(x, 0, out, 0, "as many rows in the result as in x");
    for (auto [extra, kind] : llvm::zip(product.getExtras(), product.getExtraKinds())) {
      if (kind == 0 || kind == 3)
        same(extra, 0, out, 0, "as many rows in what is added as in the result");
      else if (kind == 4)
        require(Predicate::sge, times(dim(extra, 0), product.getRowsDivisor()), dim(out, 0),
                "a row of what is added for each row");
    }
  }
  void check(GroupedOuterProductOp product) {
    same(product.getDy(), 0, product.getX(), 0, "as many rows in dy as in x");
  }
  void check(CombineOp combine) {
    Value out = combine.getOuts().front();
    require(Predicate::eq, times(dim(out, 0), combine.getK()), dim(combine.getPosition(), 0), "k rows a token");
    require(Predicate::sge, dim(combine.getY(), 0), dim(combine.getPosition(), 0), "a row for each place");
    if (combine.getWeights())
      same(combine.getWeights(), 0, out, 0, "weights for each token");
    if (combine.getResidual())
      same(combine.getResidual(), 0, out, 0, "a residual row for each token");
  }
  /// One place for each of a token's k rows.
  void check(QuantizeRowsOp rows) { places(rows.getPosition(), rows.getX(), rows.getK()); }
  void check(CopyRowsOp rows) { places(rows.getPosition(), rows.getX(), rows.getK()); }
  void check(ListRowsOp list) {
    if (list.getRows())
      places(list.getRows(), list.getX(), list.getK());
  }
  void places(Value position, Value x, int64_t k) {
    if (ShapedType::isDynamic(fixed(position, 0)) || ShapedType::isDynamic(fixed(x, 0)))
      require(Predicate::eq, dim(position, 0), times(dim(x, 0), k), "k = " + Twine(k) + " rows for each of x");
  }
  void check(RowProductOp product) {
    for (auto [extra, kind] : llvm::zip(product.getExtras(), product.getExtraKinds()))
      if (kind == 0 || kind == 3)
        same(extra, 0, product.getPosition(), 0, "an extra for each row");
  }
  void check(AttentionOp attention) {
    Value q = attention.getQuery(), k = attention.getKey(), v = attention.getValue();
    same(q, 0, k, 0, "query and key that agree in the batch");
    same(q, 0, v, 0, "query and value that agree in the batch");
    same(k, 2, v, 2, "as many values as keys");
    same(q, 3, k, 3, "query and key of one width");
    if (Value mask = attention.getMask()) {
      std::pair<Value, int64_t> full[] = {{q, 0}, {q, 1}, {q, 2}, {k, 2}};
      for (auto [i, of] : llvm::enumerate(full))
        if (fixed(mask, i) != 1)
          same(mask, i, of.first, of.second, "a mask that fits in dim " + Twine(i));
    }
  }
  void check(RopeOp rope) {
    for (Value table : {Value(rope.getCos()), Value(rope.getSin())}) {
      if (fixed(table, 0) != 1)
        same(table, 0, rope.getX(), 0, "tables for each batch");
      same(table, 1, rope.getX(), 2, "tables for each position");
    }
    same(rope.getCos(), 2, rope.getSin(), 2, "tables of one width");
    require(Predicate::sle, times(dim(rope.getCos(), 2), 2), dim(rope.getX(), 3),
            "no more rotated elements than there are");
  }
  void check(SwigluOp swiglu) {
    for (int64_t i = 0; i < cast<MemRefType>(swiglu.getGate().getType()).getRank(); ++i)
      same(swiglu.getGate(), i, swiglu.getUp(), i, "gate and up that agree in dim " + Twine(i));
  }
  void check(RmsNormOp norm) {
    if (norm.getWeight())
      same(norm.getX(), cast<MemRefType>(norm.getX().getType()).getRank() - 1, norm.getWeight(), 0,
           "a weight for each element of a row");
  }
  void check(ScatterOp scatter) {
    auto indices = cast<MemRefType>(scatter.getIndices().getType()),
         data = cast<MemRefType>(scatter.getData().getType());
    int64_t lead = indices.getRank() - 1, depth = indices.getShape().back();
    for (int64_t i = 0; i < lead; ++i)
      same(scatter.getIndices(), i, scatter.getUpdates(), i, "an update for each index");
    for (int64_t i = depth; i < data.getRank(); ++i)
      same(scatter.getData(), i, scatter.getUpdates(), lead + i - depth, "updates that fit data");
  }
  void check(TopKOp top) {
    int64_t last = cast<MemRefType>(top.getX().getType()).getRank() - 1;
    require(Predicate::sge, dim(top.getX(), last), arith::ConstantIndexOp::create(b, loc, top.getK()),
            "at least k = " + Twine(top.getK()) + " elements");
  }

  OpBuilder &b;
  Operation *op;
  Location loc;
};

struct CheckExtents : moe::impl::CheckExtentsBase<CheckExtents> {
  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.isExternal() || func->hasAttr("moe.kernel"))
      return;
    OpBuilder b(func);
    SmallVector<Operation *> ops;
    func.getBody().walk<WalkOrder::PreOrder>([&](Operation *op) {
      ops.push_back(op);
      return isa<linalg::LinalgOp, MoeComputeOpInterface>(op) ? WalkResult::skip() : WalkResult::advance();
    });
    for (Operation *op : ops)
      Checks(b, op).run();
    shareNamedExtents(func);
  }

  /// One extent for each name in `moe.dims`: the first argument's that has it.
  static void shareNamedExtents(func::FuncOp func) {
    llvm::StringMap<std::pair<Value, int64_t>> leaders;
    auto nameOf = [&](BlockArgument arg, int64_t i) -> StringRef {
      auto dims = func.getArgAttrOfType<ArrayAttr>(arg.getArgNumber(), "moe.dims");
      auto name = dims && i < static_cast<int64_t>(dims.size()) ? dyn_cast<StringAttr>(dims[i]) : StringAttr();
      return name ? name.getValue() : StringRef();
    };
    for (BlockArgument arg : func.getArguments())
      if (auto type = dyn_cast<MemRefType>(arg.getType()))
        for (int64_t i = 0; i < type.getRank(); ++i)
          if (StringRef name = nameOf(arg, i); !name.empty() && type.isDynamicDim(i))
            leaders.try_emplace(name, std::pair<Value, int64_t>(arg, i));
    func.walk([&](memref::DimOp dim) {
      auto arg = dyn_cast<BlockArgument>(dim.getSource());
      std::optional<int64_t> i = dim.getConstantIndex();
      if (!arg || arg.getOwner() != &func.getBody().front() || !i)
        return;
      auto leader = leaders.find(nameOf(arg, *i));
      if (leader == leaders.end() || leader->second == std::pair<Value, int64_t>(arg, *i))
        return;
      OpBuilder b(dim);
      dim.replaceAllUsesWith(
          memref::DimOp::create(b, dim.getLoc(), leader->second.first, leader->second.second).getResult());
    });
  }
};
} // namespace
