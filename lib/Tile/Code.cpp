//===- Code.cpp - a small vocabulary for writing loops over buffers -------===//
#include "moe/Tile/Code.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;
using namespace mlir::moe;

V Code::size(Value memref, int64_t from, int64_t to) {
  int64_t constant = 1;
  V product;
  auto type = cast<MemRefType>(memref.getType());
  for (int64_t i = from; i < to; ++i) {
    if (!type.isDynamicDim(i))
      constant *= type.getDimSize(i);
    else
      product = product.v ? product * dim(memref, i) : dim(memref, i);
  }
  if (!product.v)
    return index(constant);
  return constant == 1 ? product : product * index(constant);
}

V Code::scratch(ArrayRef<int64_t> shape, Type element) {
  OpBuilder::InsertionGuard guard(b);
  auto function = b.getInsertionBlock()->getParentOp();
  while (!isa<FunctionOpInterface>(function))
    function = function->getParentOp();
  b.setInsertionPointToStart(&function->getRegion(0).front());
  return wrap(memref::AllocaOp::create(b, loc, MemRefType::get(shape, element), ValueRange(), b.getI64IntegerAttr(64)));
}

Vs Code::delinearize(V linear, ArrayRef<V> dims) {
  Vs out(dims.size());
  for (size_t i = dims.size(); i-- > 0;) {
    if (i == 0) {
      out[0] = linear;
      break;
    }
    out[i] = linear % dims[i];
    linear = linear / dims[i];
  }
  return out;
}

V Code::toFloat(V value, Type type) {
  if (value.type() == type)
    return value;
  auto from = cast<FloatType>(value.type()), to = cast<FloatType>(type);
  return wrap(from.getWidth() < to.getWidth() ? Value(arith::ExtFOp::create(b, loc, type, value.v))
                                              : Value(arith::TruncFOp::create(b, loc, type, value.v)));
}

V Code::min(V a, V c) {
  return wrap(a.isFloat() ? Value(arith::MinimumFOp::create(b, loc, a, c)) : b.createOrFold<arith::MinSIOp>(loc, a, c));
}

V Code::max(V a, V c) {
  return wrap(a.isFloat() ? Value(arith::MaximumFOp::create(b, loc, a, c)) : b.createOrFold<arith::MaxSIOp>(loc, a, c));
}

V Code::sigmoid(V a) {
  V one = constant(a.type(), 1);
  return one / (one + exp(wrap(arith::NegFOp::create(b, loc, a))));
}

Vs Code::loop(V lo, V hi, ArrayRef<V> init, llvm::function_ref<Vs(V, ArrayRef<V>)> body) {
  auto loop = scf::ForOp::create(b, loc, lo, hi, index(1), values(init));
  OpBuilder::InsertionGuard guard(b);
  Block *block = loop.getBody();
  if (init.empty())
    b.setInsertionPoint(block->getTerminator());
  else
    b.setInsertionPointToEnd(block);
  Vs carried;
  for (Value v : loop.getRegionIterArgs())
    carried.push_back(wrap(v));
  Vs next = body(wrap(loop.getInductionVar()), carried);
  if (!init.empty())
    scf::YieldOp::create(b, loc, values(next));
  Vs results;
  for (Value v : loop.getResults())
    results.push_back(wrap(v));
  return results;
}

void Code::check(V ok, StringRef message) { cf::AssertOp::create(b, loc, ok, message); }

void Code::ifThen(V condition, llvm::function_ref<void()> body) {
  auto op = scf::IfOp::create(b, loc, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(op.thenBlock()->getTerminator());
  body();
}

Vs Code::ifElse(V condition, llvm::function_ref<Vs()> then, llvm::function_ref<Vs()> otherwise) {
  auto collect = [&](llvm::function_ref<Vs()> side) {
    return [this, side](OpBuilder &, Location l) { scf::YieldOp::create(b, l, values(side())); };
  };
  OpBuilder::InsertionGuard guard(b);
  auto op = scf::IfOp::create(b, loc, condition, collect(then), collect(otherwise));
  Vs results;
  for (Value v : op.getResults())
    results.push_back(wrap(v));
  return results;
}

Vs Code::loopWhile(ArrayRef<V> init, llvm::function_ref<V(ArrayRef<V>)> condition,
                   llvm::function_ref<Vs(ArrayRef<V>)> body) {
  SmallVector<Value> starts = values(init);
  OpBuilder::InsertionGuard guard(b);
  auto wrapAll = [&](ValueRange vs) {
    Vs out;
    for (Value v : vs)
      out.push_back(wrap(v));
    return out;
  };
  auto op = scf::WhileOp::create(
      b, loc, TypeRange(ValueRange(starts)), starts,
      [&](OpBuilder &, Location l, ValueRange args) { scf::ConditionOp::create(b, l, condition(wrapAll(args)), args); },
      [&](OpBuilder &, Location l, ValueRange args) { scf::YieldOp::create(b, l, values(body(wrapAll(args)))); });
  return wrapAll(op.getResults());
}

RowSplit::RowSplit(Code &c, V rows, V cost, int64_t grain) : rows(rows) {
  perItem = grain <= 1 ? c.index(1) : c.max(c.index(1), c.index(grain) / c.max(c.index(1), cost));
}
