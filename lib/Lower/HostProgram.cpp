//===- HostProgram.cpp - writes plan and run of one entry point -----------===//
//
// Both functions walk the same program. `plan` computes what follows from the extents of the inputs alone and leaves out the
// rest; `run` does everything: it knows each buffer as pointer, offset, sizes and strides, so that views cost nothing.
//
//   moe.launch @k0(%x, %a) items(%n)
//     ->   llvm.store (pointers, dynamic sizes and strides), the argument block
//          llvm.call @moe_launch(%host, %context, %status, 0, %n, the block, its size)
//
//===----------------------------------------------------------------------===//
#include "HostProgram.h"
#include "Arguments.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"

using namespace mlir;
using namespace mlir::moe;

unsigned ProgramTables::errorCode(StringRef message) {
  for (auto [i, known] : llvm::enumerate(errors))
    if (known == message)
      return i + 1;
  errors.push_back(message.str());
  return errors.size();
}

static int64_t elementBytes(MemRefType type) { return (type.getElementTypeBitWidth() + 7) / 8; }

//===----------------------------------------------------------------------===//
// Small arithmetic
//===----------------------------------------------------------------------===//

Value HostWriter::i64(int64_t value) {
  return LLVM::ConstantOp::create(*builder, entry.getLoc(), builder->getI64Type(), builder->getI64IntegerAttr(value));
}
Value HostWriter::index(int64_t value) { return arith::ConstantIndexOp::create(*builder, entry.getLoc(), value); }
Value HostWriter::toI64(Value v) {
  return builder->createOrFold<arith::IndexCastOp>(entry.getLoc(), builder->getI64Type(), v);
}
Value HostWriter::toIndex(Value v) {
  return builder->createOrFold<arith::IndexCastOp>(entry.getLoc(), builder->getIndexType(), v);
}
Value HostWriter::at(Value table, int64_t word) {
  return LLVM::GEPOp::create(*builder, entry.getLoc(), table.getType(), builder->getI64Type(), table,
                             ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(word)});
}
Value HostWriter::loadPointer(int64_t word) {
  return LLVM::LoadOp::create(*builder, entry.getLoc(), bufferTable.getType(), at(bufferTable, word));
}
Value HostWriter::add(Value a, Value b) {
  if (!a || !b)
    return a ? a : b;
  return builder->createOrFold<arith::AddIOp>(entry.getLoc(), a, b);
}
Value HostWriter::mul(Value a, Value b) {
  return a && b ? builder->createOrFold<arith::MulIOp>(entry.getLoc(), a, b) : Value();
}
Value HostWriter::scalar(OpFoldResult v) {
  if (auto constant = getConstantIntValue(v))
    return index(*constant);
  return scalar(cast<Value>(v));
}

Value HostWriter::bytesOf(MemRefType type, ArrayRef<Value> sizes) {
  OpBuilder &b = *builder;
  Location loc = entry.getLoc();
  auto i64 = [&](int64_t n) -> Value {
    return LLVM::ConstantOp::create(b, loc, b.getI64Type(), b.getI64IntegerAttr(n));
  };
  int64_t fixed = elementBytes(type);
  bool fits = true;
  SmallVector<Value> dynamic;
  for (auto [d, size] : llvm::zip(type.getShape(), sizes)) {
    if (ShapedType::isDynamic(d))
      dynamic.push_back(size);
    else
      fits &= !__builtin_mul_overflow(fixed, d, &fixed);
  }
  Value most = i64(INT64_MAX), total = fits ? i64(fixed) : most;
  for (Value size : dynamic) {
    if (!size)
      return {};
    Value extent = toI64(size);
    auto pair = LLVM::LLVMStructType::getLiteral(b.getContext(), {b.getI64Type(), b.getI1Type()});
    Value product = LLVM::SMulWithOverflowOp::create(b, loc, pair, total, extent);
    Value negative = LLVM::ICmpOp::create(b, loc, LLVM::ICmpPredicate::slt, extent, i64(0));
    Value bad = LLVM::OrOp::create(b, loc, LLVM::ExtractValueOp::create(b, loc, product, 1), negative);
    total = LLVM::SelectOp::create(b, loc, bad, most, LLVM::ExtractValueOp::create(b, loc, product, 0));
  }
  return toIndex(total);
}

/// A buffer of row-major elements.
HostBuffer HostWriter::contiguous(MemRefType type, ArrayRef<Value> sizes) {
  HostBuffer buffer;
  buffer.sizes.assign(sizes.begin(), sizes.end());
  buffer.strides.resize(sizes.size());
  Value running = index(1);
  for (int64_t i = sizes.size() - 1; i >= 0; --i) {
    buffer.strides[i] = running;
    running = mul(running, sizes[i]);
  }
  return buffer;
}

/// In `run`: remembers the first error. In `plan`: returns it at the end too.
void HostWriter::failUnless(Value condition, StringRef message) {
  Location loc = entry.getLoc();
  Type i32 = builder->getI32Type();
  Value before = LLVM::LoadOp::create(*builder, loc, i32, status);
  Value code = LLVM::ConstantOp::create(*builder, loc, i32, builder->getI32IntegerAttr(tables.errorCode(message)));
  Value zero = LLVM::ConstantOp::create(*builder, loc, i32, builder->getI32IntegerAttr(0));
  Value clean = LLVM::ICmpOp::create(*builder, loc, LLVM::ICmpPredicate::eq, before, zero);
  Value failed = LLVM::SelectOp::create(*builder, loc, clean, code, before);
  LLVM::StoreOp::create(*builder, loc, LLVM::SelectOp::create(*builder, loc, condition, before, failed), status);
}

//===----------------------------------------------------------------------===//
// The function
//===----------------------------------------------------------------------===//

LogicalResult HostWriter::write(ModuleOp module, SmallVectorImpl<unsigned> &entryWeights) {
  OpBuilder b = OpBuilder::atBlockEnd(module.getBody());
  builder = &b;
  Location loc = entry.getLoc();
  Type pointer = LLVM::LLVMPointerType::get(b.getContext()), i32 = b.getI32Type();
  SmallVector<Type> types(mode == Plan ? 3 : 4, pointer);
  auto function = func::FuncOp::create(b, loc, (entry.getName() + (mode == Plan ? "_plan" : "_run")).str(),
                                       b.getFunctionType(types, i32));
  Block *block = function.addEntryBlock();
  b.setInsertionPointToStart(block);
  if (mode == Plan) {
    extents = block->getArgument(0), outputExtents = block->getArgument(1), temporaryBytes = block->getArgument(2);
  } else {
    host = block->getArgument(0), context = block->getArgument(1);
    extents = block->getArgument(2), bufferTable = block->getArgument(3);
  }
  auto scratch = [&](int64_t words) -> Value {
    return LLVM::AllocaOp::create(b, loc, pointer, b.getI64Type(), i64(words), 8);
  };
  status = scratch(1);
  nothing = scratch(2);
  fetched = scratch(2);
  LLVM::StoreOp::create(b, loc, i64(0), nothing);
  LLVM::StoreOp::create(b, loc, LLVM::ConstantOp::create(b, loc, i32, b.getI32IntegerAttr(0)), status);
  int64_t most = 1;
  entry.walk([&](LaunchOp launch) {
    int64_t words = 0;
    for (Type type : launch.getArgs().getTypes()) {
      auto memref = dyn_cast<MemRefType>(type);
      words += argumentWords(memref ? Type(getKernelArgumentType(memref)) : type);
    }
    most = std::max(most, words);
  });
  for (Type type : entry.getResultTypes())
    most = std::max(most, cast<MemRefType>(type).getRank());
  arguments = scratch(most);

  // The weights that this entry reads, in the order in which it names them.
  DenseMap<StringRef, unsigned> slots;
  entry.walk([&](Operation *op) {
    StringRef name;
    if (auto get = dyn_cast<GetWeightOp>(op))
      name = get.getName();
    else if (auto get = dyn_cast<memref::GetGlobalOp>(op))
      name = get.getName();
    else
      return;
    auto [it, isNew] = slots.try_emplace(name, slots.size());
    if (isNew) {
      auto known = tables.weights.insert({name, static_cast<unsigned>(tables.weights.size())}).first;
      entryWeights.push_back(known->second);
    }
    weightSlots[op->getResult(0)] = it->second;
  });
  firstWeight = entry.getNumArguments() + entry.getNumResults();
  firstTemporary = firstWeight + slots.size();

  bindArguments();
  if (failed(writeBlock(entry.getBody().front())))
    return failure();
  Value code = LLVM::LoadOp::create(b, loc, i32, status);
  func::ReturnOp::create(b, loc, code);
  return success();
}

void HostWriter::bindArguments() {
  int64_t word = 0;
  for (auto [i, arg] : llvm::enumerate(entry.getArguments())) {
    auto type = cast<MemRefType>(arg.getType());
    SmallVector<Value> sizes;
    for (int64_t d : type.getShape()) {
      if (ShapedType::isDynamic(d))
        sizes.push_back(
            toIndex(LLVM::LoadOp::create(*builder, entry.getLoc(), builder->getI64Type(), at(extents, word))));
      else
        sizes.push_back(index(d));
      ++word;
    }
    HostBuffer buffer = contiguous(type, sizes);
    if (mode == Run)
      buffer.pointer = loadPointer(i);
    buffers[arg] = buffer;
  }
}

LogicalResult HostWriter::writeBlock(Block &block) {
  for (Operation &op : block)
    if (failed(writeOp(op)))
      return failure();
  return success();
}

LogicalResult HostWriter::writeOp(Operation &op) {
  OpBuilder &b = *builder;
  Location loc = op.getLoc();
  if (auto launch = dyn_cast<LaunchOp>(op))
    return mode == Run ? writeLaunch(launch) : success();
  if (auto ret = dyn_cast<func::ReturnOp>(op))
    return writeReturn(ret);
  if (auto alloc = dyn_cast<memref::AllocOp>(op))
    return writeAlloc(alloc);
  if (isa<GetWeightOp, memref::GetGlobalOp>(op)) {
    auto type = cast<MemRefType>(op.getResult(0).getType());
    SmallVector<Value> sizes;
    for (int64_t d : type.getShape())
      sizes.push_back(index(d));
    HostBuffer buffer = contiguous(type, sizes);
    if (mode == Run)
      buffer.pointer = loadPointer(firstWeight + weightSlots[op.getResult(0)]);
    buffers[op.getResult(0)] = buffer;
    return success();
  }
  if (auto dim = dyn_cast<memref::DimOp>(op)) {
    std::optional<int64_t> i = dim.getConstantIndex();
    if (!i)
      return op.emitOpError("expects a constant dimension in a host program");
    if (Value size = buffers[dim.getSource()].sizes[*i])
      values.map(dim.getResult(), size);
    return success();
  }
  if (auto load = dyn_cast<memref::LoadOp>(op)) {
    if (mode == Plan)
      return success();
    HostBuffer &buffer = buffers[load.getMemref()];
    Value offset = buffer.offset;
    for (auto [i, stride] : llvm::zip(load.getIndices(), buffer.strides))
      offset = add(offset, mul(scalar(i), stride));
    Type element = load.getResult().getType();
    Value address = buffer.pointer;
    if (offset)
      address = LLVM::GEPOp::create(b, loc, address.getType(), element, address, ArrayRef<LLVM::GEPArg>{toI64(offset)});
    if (tables.device) {
      // The buffer is the device's; the runtime fetches the value.
      unsigned bytes = element.isIndex() ? 8 : (element.getIntOrFloatBitWidth() + 7) / 8;
      LLVM::CallOp::create(b, loc, TypeRange(), "moe_read",
                           ValueRange{host, context, status, address, i64(bytes), fetched});
      address = fetched;
    } else {
      // After an error there may be no buffer, and nothing is launched any more: a zero is read then, which ends loops too.
      Type i32 = b.getI32Type();
      Value zero = LLVM::ConstantOp::create(b, loc, i32, b.getI32IntegerAttr(0));
      Value code = LLVM::LoadOp::create(b, loc, i32, status);
      Value clean = LLVM::ICmpOp::create(b, loc, LLVM::ICmpPredicate::eq, code, zero);
      address = LLVM::SelectOp::create(b, loc, clean, address, nothing);
    }
    Value result;
    if (element.isIndex())
      result = toIndex(LLVM::LoadOp::create(b, loc, b.getI64Type(), address));
    else
      result = LLVM::LoadOp::create(b, loc, element, address);
    values.map(load.getResult(), result);
    return success();
  }
  if (auto check = dyn_cast<cf::AssertOp>(op)) {
    if (Value condition = scalar(check.getArg()))
      failUnless(condition, check.getMsg());
    return success();
  }
  if (auto check = dyn_cast<CheckedOp>(op)) {
    Value value = scalar(check.getValue()), ok = scalar(check.getOk());
    if (ok)
      failUnless(ok, check.getMessage());
    if (value)
      values.map(check.getResult(), value);
    return success();
  }
  if (auto apply = dyn_cast<affine::AffineApplyOp>(op)) {
    SmallVector<Value> operands;
    for (Value v : apply.getMapOperands()) {
      if (!scalar(v))
        return success();
      operands.push_back(scalar(v));
    }
    auto results = affine::expandAffineMap(b, loc, apply.getAffineMap(), operands);
    if (!results)
      return op.emitOpError("has no lowering in a host program");
    values.map(apply.getResult(), results->front());
    return success();
  }
  if (op.getNumResults() && isa<MemRefType>(op.getResult(0).getType()) && op.getNumRegions() == 0)
    return writeView(op);
  if (op.getNumRegions() > 0) {
    if (mode == Plan)
      return success();
    for (Type type : op.getResultTypes())
      if (isa<MemRefType>(type))
        return op.emitOpError("carries a buffer through control flow, which host programs do not support");
    // The op again, with its regions written into.
    SmallVector<Value> operands;
    for (Value v : op.getOperands())
      operands.push_back(scalar(v));
    Operation *copy = Operation::create(loc, op.getName(), op.getResultTypes(), operands, op.getRawDictionaryAttrs(),
                                        op.getPropertiesStorage(), op.getSuccessors(), op.getNumRegions());
    b.insert(copy);
    for (auto [from, to] : llvm::zip(op.getRegions(), copy->getRegions()))
      for (Block &block : from) {
        Block *inner = new Block();
        to.push_back(inner);
        for (BlockArgument arg : block.getArguments())
          values.map(arg, inner->addArgument(arg.getType(), arg.getLoc()));
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPointToEnd(inner);
        if (failed(writeBlock(block)))
          return failure();
      }
    for (auto [from, to] : llvm::zip(op.getResults(), copy->getResults()))
      values.map(from, to);
    return success();
  }
  // Scalar arithmetic.
  for (Value v : op.getOperands())
    if (!scalar(v)) {
      if (mode == Plan)
        return success();
      return op.emitOpError("reads a value that the host program does not have");
    }
  b.clone(op, values);
  return success();
}

//===----------------------------------------------------------------------===//
// Buffers
//===----------------------------------------------------------------------===//

LogicalResult HostWriter::writeView(Operation &op) {
  auto type = cast<MemRefType>(op.getResult(0).getType());
  HostBuffer source = buffers[op.getOperand(0)], out;
  out.pointer = source.pointer;
  out.offset = source.offset;
  auto [staticStrides, staticOffset] = type.getStridesAndOffset();
  if (auto view = dyn_cast<memref::SubViewOp>(op)) {
    llvm::SmallBitVector dropped = view.getDroppedDims();
    for (auto [i, offset, size, stride] :
         llvm::enumerate(view.getMixedOffsets(), view.getMixedSizes(), view.getMixedStrides())) {
      Value distance = mul(scalar(offset), source.strides[i]);
      out.offset = mode == Plan ? Value() : add(out.offset, distance);
      if (dropped.test(i))
        continue;
      out.sizes.push_back(scalar(size));
      out.strides.push_back(mul(scalar(stride), source.strides[i]));
    }
  } else if (auto view = dyn_cast<memref::ExpandShapeOp>(op)) {
    out.sizes.resize(type.getRank());
    out.strides.resize(type.getRank());
    for (auto [i, size] : llvm::enumerate(view.getMixedOutputShape()))
      out.sizes[i] = scalar(size);
    for (auto [group, stride] : llvm::zip(view.getReassociationIndices(), source.strides)) {
      Value running = stride;
      for (int64_t i : llvm::reverse(group)) {
        out.strides[i] = running;
        running = mul(running, out.sizes[i]);
      }
    }
    if (source.sizes.empty())
      for (Value &stride : out.strides)
        stride = index(1);
  } else if (auto view = dyn_cast<memref::CollapseShapeOp>(op)) {
    for (const ReassociationIndices &group : view.getReassociationIndices()) {
      Value size = source.sizes[group.front()];
      for (int64_t i : ArrayRef<int64_t>(group).drop_front())
        size = mul(size, source.sizes[i]);
      // A dim of one element has any stride: the last longer one tells, as the type does.
      unsigned last = group.size() - 1;
      auto from = cast<MemRefType>(view.getSrcType());
      while (last > 0 && from.getDimSize(group[last]) == 1)
        --last;
      out.sizes.push_back(size);
      out.strides.push_back(source.strides[group[last]]);
    }
  } else if (isa<memref::CastOp>(op)) {
    out = source;
  } else if (auto view = dyn_cast<memref::TransposeOp>(op)) {
    for (AffineExpr e : view.getPermutation().getResults()) {
      unsigned i = cast<AffineDimExpr>(e).getPosition();
      out.sizes.push_back(source.sizes[i]);
      out.strides.push_back(source.strides[i]);
    }
  } else if (auto view = dyn_cast<memref::ReinterpretCastOp>(op)) {
    out.offset = scalar(view.getMixedOffsets().front());
    for (auto [size, stride] : llvm::zip(view.getMixedSizes(), view.getMixedStrides())) {
      out.sizes.push_back(scalar(size));
      out.strides.push_back(scalar(stride));
    }
  } else {
    return op.emitOpError("has no lowering in a host program");
  }
  for (int64_t i = 0; i < type.getRank(); ++i) {
    if (!type.isDynamicDim(i))
      out.sizes[i] = index(type.getDimSize(i));
    if (!ShapedType::isDynamic(staticStrides[i]))
      out.strides[i] = index(staticStrides[i]);
  }
  buffers[op.getResult(0)] = out;
  return success();
}

LogicalResult HostWriter::writeAlloc(memref::AllocOp op) {
  OpBuilder &b = *builder;
  Location loc = op.getLoc();
  MemRefType type = op.getType();
  if (!type.getLayout().isIdentity())
    return op.emitOpError("expects a contiguous buffer, but it is ") << type;
  SmallVector<Value> sizes;
  auto dynamic = op.getDynamicSizes().begin();
  for (int64_t d : type.getShape())
    sizes.push_back(ShapedType::isDynamic(d) ? scalar(*dynamic++) : index(d));
  HostBuffer buffer = contiguous(type, sizes);
  Value bytes = bytesOf(type, sizes);
  auto temporary = op->getAttrOfType<DenseI64ArrayAttr>("moe.temporary");
  auto output = op->getAttrOfType<IntegerAttr>("moe.output");
  if (mode == Plan) {
    if (temporary) {
      if (!bytes)
        return op.emitOpError("is planned but its size does not follow from the extents");
      LLVM::StoreOp::create(b, loc, toI64(bytes), at(temporaryBytes, temporary[0]));
    }
    buffers[op.getResult()] = buffer;
    return success();
  }
  if (temporary) {
    buffer.pointer = loadPointer(firstTemporary + temporary[0]);
  } else if (output) {
    buffer.pointer = loadPointer(entry.getNumArguments() + output.getInt());
    // Where only data decide the extents the caller has no memory yet.
    if (op->hasAttr("moe.late")) {
      for (auto [i, size] : llvm::enumerate(sizes))
        LLVM::StoreOp::create(b, loc, toI64(size), at(arguments, i));
      Value number = LLVM::ConstantOp::create(b, loc, b.getI32Type(), b.getI32IntegerAttr(output.getInt()));
      buffer.pointer = LLVM::CallOp::create(b, loc, TypeRange{arguments.getType()}, "moe_output",
                                            ValueRange{host, context, status, number, arguments})
                           .getResult();
    }
  } else {
    buffer.pointer = LLVM::CallOp::create(b, loc, TypeRange{arguments.getType()}, "moe_allocate",
                                          ValueRange{host, context, status, toI64(bytes)})
                         .getResult();
  }
  buffers[op.getResult()] = buffer;
  return success();
}

LogicalResult HostWriter::writeLaunch(LaunchOp op) {
  OpBuilder &b = *builder;
  Location loc = op.getLoc();
  int64_t word = 0;
  auto put = [&](Value v) { LLVM::StoreOp::create(b, loc, v, at(arguments, word++)); };
  for (Value arg : op.getArgs()) {
    auto memref = dyn_cast<MemRefType>(arg.getType());
    if (!memref) {
      Value v = scalar(arg);
      Type type = v.getType();
      if (type.isIndex()) {
        v = toI64(v);
      } else {
        unsigned width = type.getIntOrFloatBitWidth();
        if (isa<FloatType>(type))
          v = arith::BitcastOp::create(b, loc, b.getIntegerType(width), v);
        if (width < 64)
          v = arith::ExtUIOp::create(b, loc, b.getI64Type(), v);
      }
      put(v);
      continue;
    }
    const HostBuffer &buffer = buffers[arg];
    MemRefType type = getKernelArgumentType(memref);
    Value address = buffer.pointer;
    if (buffer.offset) {
      Value bytes = mul(buffer.offset, index(elementBytes(type)));
      address =
          LLVM::GEPOp::create(b, loc, address.getType(), b.getI8Type(), address, ArrayRef<LLVM::GEPArg>{toI64(bytes)});
    }
    put(address);
    for (int64_t d : dynamicSizes(type))
      put(toI64(buffer.sizes[d]));
    for (int64_t d : dynamicStrides(type))
      put(toI64(buffer.strides[d]));
  }
  Value kernel = LLVM::ConstantOp::create(b, loc, b.getI32Type(), b.getI32IntegerAttr(tables.kernels[op.getKernel()]));
  LLVM::CallOp::create(
      b, loc, TypeRange(), "moe_launch",
      ValueRange{host, context, status, kernel, toI64(scalar(op.getItems())), arguments, i64(8 * word)});
  return success();
}

LogicalResult HostWriter::writeReturn(func::ReturnOp op) {
  if (mode == Run)
    return success();
  int64_t word = 0;
  for (Value result : op.getOperands())
    for (Value size : buffers[result].sizes) {
      LLVM::StoreOp::create(*builder, op.getLoc(), size ? toI64(size) : i64(-1), at(outputExtents, word));
      ++word;
    }
  return success();
}
