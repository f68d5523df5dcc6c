//===- Epilogue.cpp - what epilogues share --------------------------------===//
#include "Products.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::tile;

void Epilogue::attach(V group, V warp, V lane, V thread, Value staging, Value rows) {
  this->group = wrap(group);
  this->warp = wrap(warp);
  this->lane = wrap(lane);
  this->thread = wrap(thread);
  this->staging = staging;
  this->rows = rows;
}

void Epilogue::finishHalf(const TileInfo &, V, int64_t) { llvm_unreachable("an epilogue of tiles that are not cut"); }

void Epilogue::signal(const TileInfo &t, Value counters) {
  FenceAsyncOp::create(b, loc);
  sync(n(1), kConsumers);
  ifThen(thread == n(0), [&] { SignalOp::create(b, loc, counters, t.item + n(kCounters)); });
}

Value Epilogue::map(ValueRange operands, llvm::function_ref<V(ArrayRef<V>)> body, RankedTensorType type) {
  auto map = MapOp::create(b, loc, TypeRange(type), operands);
  OpBuilder::InsertionGuard guard(b);
  Block *block = b.createBlock(&map.getBody());
  Vs args;
  for (Value v : operands)
    args.push_back(wrap(block->addArgument(getElementTypeOrSelf(v.getType()), loc)));
  Value result = body(args);
  tile::YieldOp::create(b, loc, ValueRange(result));
  return map.getResult(0);
}

Value Epilogue::rounded(Value fragment, Type element) {
  if (element.isBF16())
    return fragment; // tile.store_matrix does it
  return map(
      fragment,
      [&](ArrayRef<V> a) { return wrap(arith::BitcastOp::create(b, loc, b.getI16Type(), toFloat(a[0], element))); },
      cast<RankedTensorType>(fragment.getType()).clone(b.getI16Type()));
}

V Epilogue::withBias(Value sums, Value vector, Type element) {
  auto body = [&](ArrayRef<V> a) -> V {
    if (element.isF32())
      return a[0] + a[1];
    auto narrow = [&](V v) { return wrap(arith::TruncFOp::create(b, loc, element, v.v)); };
    V sum = narrow(a[0]), bias = narrow(a[1]);
    return wrap(arith::ExtFOp::create(b, loc, b.getF32Type(), (sum + bias).v));
  };
  return wrap(map({sums, vector}, body, cast<RankedTensorType>(sums.getType())));
}

V Epilogue::inlined(Region &region, ArrayRef<V> arguments) {
  IRMapping mapping;
  Block &body = region.front();
  for (auto [argument, v] : llvm::zip(body.getArguments(), arguments))
    mapping.map(argument, v.v);
  for (Operation &inner : body.without_terminator())
    b.clone(inner, mapping);
  return wrap(mapping.lookupOrDefault(body.getTerminator()->getOperand(0)));
}
