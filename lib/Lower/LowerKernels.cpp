//===- LowerKernels.cpp - the calling convention of kernels ---------------===//
//
//   func.func @k0(%x: memref<?x8xf32>, %begin: index, %end: index)
//     ->   func.func private @k0.body(%p: !llvm.ptr {llvm.noalias}, %n: i64, %begin: i64, %end: i64)     the same body
//          llvm.func @k0(%args: !llvm.ptr, %begin: i64, %end: i64) -> i32      loads the argument block and calls it
//
// The inner function exists for its parameters: pointers that never overlap say so (a buffer is written through one
// argument alone unless it is marked `moe.may_alias`), which the loop vectoriser needs.
//
// An assertion in a kernel becomes its return code, the number that `moe-lower-host` gave its message in the list of errors;
// the items run to their end. Device kernels return nothing: their assertions go.
//
// On a device the inner function is the kernel: its parameters are the words of the argument block, then the number of
// items, and each thread is one item; threads of a kernel of the tile dialect work together and ask for their numbers
// themselves. A kernel with `moe.launch_config` has no range of items: its arguments become parameters, a memref with
// `moe.tensor_map` a tensor map by value, and an index argument with `moe.items` the number of items. `moe.launch_record`
// tells emit about all of them.
//
//===----------------------------------------------------------------------===//
#include "Arguments.h"
#include "moe/Lower/Passes.h"
#include "moe/Support/LaunchRecord.h"

#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

namespace mlir::moe {
#define GEN_PASS_DEF_LOWERKERNELS
#include "moe/Lower/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
struct LowerKernels : moe::impl::LowerKernelsBase<LowerKernels> {
  void runOnOperation() override {
    LLVMTypeConverter converter(&getContext());
    SmallVector<func::FuncOp> kernels;
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (func->hasAttr("moe.kernel") && !func.isExternal())
        kernels.push_back(func);
    bool device = getOperation()->hasAttr("moe.device");
    for (func::FuncOp kernel : kernels) {
      FailureOr<bool> checks = returnAssertions(kernel);
      if (failed(checks))
        return signalPassFailure();
      if (!device) {
        lower(kernel, converter, *checks, nullptr);
        continue;
      }
      FailureOr<LaunchRecord> record = LaunchRecord::get(cast<FunctionOpInterface>(kernel.getOperation()));
      if (failed(record))
        return signalPassFailure();
      bool own = kernel->hasAttr(kLaunchConfigAttr);
      if (failed(own ? lowerOwn(kernel, converter, *record) : (lower(kernel, converter, false, &*record), success())))
        return signalPassFailure();
    }
  }

  /// Remembers the last assertion that failed, and returns its code. False if there is none; a device kernel has none left.
  static FailureOr<bool> returnAssertions(func::FuncOp kernel) {
    SmallVector<cf::AssertOp> checks;
    kernel.walk([&](cf::AssertOp check) { checks.push_back(check); });
    if (kernel->getParentOp()->hasAttr("moe.device"))
      for (cf::AssertOp check : checks)
        check.erase();
    if (checks.empty() || kernel->getParentOp()->hasAttr("moe.device"))
      return false;
    OpBuilder b = OpBuilder::atBlockBegin(&kernel.getBody().front());
    Location loc = kernel.getLoc();
    Type i32 = b.getI32Type(), pointer = LLVM::LLVMPointerType::get(b.getContext());
    Value one = LLVM::ConstantOp::create(b, loc, i32, b.getI32IntegerAttr(1));
    Value zero = LLVM::ConstantOp::create(b, loc, i32, b.getI32IntegerAttr(0));
    Value code = LLVM::AllocaOp::create(b, loc, pointer, i32, one, 4);
    LLVM::StoreOp::create(b, loc, zero, code);
    for (cf::AssertOp check : checks) {
      auto number = check->getAttrOfType<IntegerAttr>("moe.code");
      if (!number)
        return check.emitOpError("expects the attribute 'moe.code', which moe-lower-host gives");
      b.setInsertionPoint(check);
      Value failed = LLVM::ConstantOp::create(b, check.getLoc(), i32, number);
      Value before = LLVM::LoadOp::create(b, check.getLoc(), i32, code);
      LLVM::StoreOp::create(b, check.getLoc(),
                            arith::SelectOp::create(b, check.getLoc(), check.getArg(), before, failed), code);
      check.erase();
    }
    Operation *ret = kernel.getBody().front().getTerminator();
    b.setInsertionPoint(ret);
    func::ReturnOp::create(b, ret->getLoc(), Value(LLVM::LoadOp::create(b, ret->getLoc(), i32, code)));
    ret->erase();
    return true;
  }

  /// A device kernel that says how it is launched.
  LogicalResult lowerOwn(func::FuncOp kernel, const LLVMTypeConverter &converter, LaunchRecord &record) {
    OpBuilder b(kernel);
    Location loc = kernel.getLoc();
    Type pointer = LLVM::LLVMPointerType::get(&getContext()), i64 = b.getI64Type();
    Block *block = &kernel.getBody().front();
    SmallVector<Type> oldTypes(kernel.getArgumentTypes()), types;
    SmallVector<DictionaryAttr> attributes;
    auto take = [&](Type type, LaunchRecord::Param param, DictionaryAttr attrs = {}) -> Value {
      types.push_back(type);
      attributes.push_back(attrs ? attrs : b.getDictionaryAttr({}));
      record.params.push_back(param);
      return block->addArgument(type, loc);
    };
    b.setInsertionPointToStart(block);
    int64_t word = 0;
    for (auto [i, type] : llvm::enumerate(oldTypes)) {
      BlockArgument old = block->getArgument(0);
      auto memref = dyn_cast<MemRefType>(type);
      if (kernel.getArgAttr(i, "moe.items")) {
        if (!type.isIndex())
          return kernel.emitError() << "expects argument " << i << ", the number of items, to be an index, found "
                                    << type;
        old.replaceAllUsesWith(
            arith::IndexCastOp::create(b, loc, type, take(i64, {LaunchRecord::Items, 0})).getResult());
      } else if (kernel.getArgAttr(i, kTensorMapAttr)) {
        auto map = LaunchRecord::getTensorMap(cast<FunctionOpInterface>(kernel.getOperation()), i, word);
        if (failed(map))
          return failure();
        auto bytes = LLVM::LLVMArrayType::get(b.getI8Type(), 128);
        Value by =
            take(pointer, {LaunchRecord::Map, static_cast<int64_t>(record.maps.size())},
                 b.getDictionaryAttr({b.getNamedAttr(LLVM::LLVMDialect::getByValAttrName(), TypeAttr::get(bytes)),
                                      b.getNamedAttr(LLVM::LLVMDialect::getAlignAttrName(), b.getI64IntegerAttr(64))}));
        record.maps.push_back(std::move(*map));
        for (Operation *user : llvm::make_early_inc_range(old.getUsers())) {
          auto cast = dyn_cast<UnrealizedConversionCastOp>(user);
          if (!cast || cast.getResultTypes() != TypeRange(pointer))
            return user->emitError()
                   << "expects a tensor map to be taken as a pointer by builtin.unrealized_conversion_cast";
          cast.getResult(0).replaceAllUsesWith(by);
          cast.erase();
        }
        word += argumentWords(type);
      } else {
        bool unique = memref && !kernel.getArgAttr(i, "moe.may_alias");
        SmallVector<Value> fresh;
        for (int64_t w = 0; w < argumentWords(type); ++w) {
          DictionaryAttr attrs;
          if (unique && w == 0)
            attrs = b.getDictionaryAttr(b.getNamedAttr(LLVM::LLVMDialect::getNoAliasAttrName(), b.getUnitAttr()));
          fresh.push_back(take(memref && w == 0           ? pointer
                               : memref || type.isIndex() ? i64
                                                          : type,
                               {LaunchRecord::Word, word++}, attrs));
        }
        Value value = fresh.front();
        if (memref)
          value = rebuild(b, loc, memref, fresh, converter);
        else if (type.isIndex())
          value = arith::IndexCastOp::create(b, loc, type, value);
        old.replaceAllUsesWith(value);
      }
      block->eraseArgument(0);
    }
    finishDevice(kernel, types, attributes, record);
    return success();
  }

  /// The function as emit takes it.
  void finishDevice(func::FuncOp kernel, ArrayRef<Type> types, ArrayRef<DictionaryAttr> attributes,
                    const LaunchRecord &record) {
    Builder b(&getContext());
    for (NamedAttribute attr : llvm::to_vector(kernel->getDiscardableAttrs()))
      kernel->removeAttr(attr.getName());
    kernel->removeAttr("arg_attrs");
    kernel.setFunctionType(b.getFunctionType(types, {}));
    kernel.setAllArgAttrs(attributes);
    kernel->setAttr("moe.kernel", b.getUnitAttr());
    kernel->setAttr(kLaunchRecordAttr, record.toAttr(&getContext()));
  }

  /// The memref that `words` (pointer, sizes, strides) describe.
  static Value rebuild(OpBuilder &b, Location loc, MemRefType type, ArrayRef<Value> words,
                       const LLVMTypeConverter &converter) {
    Type i64 = b.getI64Type();
    auto constant = [&](int64_t v) -> Value { return LLVM::ConstantOp::create(b, loc, i64, b.getI64IntegerAttr(v)); };
    auto descriptor = MemRefDescriptor::poison(b, loc, converter.convertType(type));
    descriptor.setAllocatedPtr(b, loc, words[0]);
    descriptor.setAlignedPtr(b, loc, words[0]);
    descriptor.setOffset(b, loc, constant(0));
    words = words.drop_front();
    SmallVector<Value> sizes;
    for (int64_t d : type.getShape()) {
      if (ShapedType::isDynamic(d)) {
        sizes.push_back(words.front());
        words = words.drop_front();
      } else {
        sizes.push_back(constant(d));
      }
    }
    auto [strides, offset] = type.getStridesAndOffset();
    bool identity = type.getLayout().isIdentity();
    SmallVector<Value> strideValues(type.getRank());
    for (int64_t i = type.getRank() - 1; i >= 0; --i) {
      if (!ShapedType::isDynamic(strides[i]))
        strideValues[i] = constant(strides[i]);
      else if (identity)
        strideValues[i] = LLVM::MulOp::create(b, loc, strideValues[i + 1], sizes[i + 1]);
    }
    for (int64_t i : dynamicStrides(type)) {
      strideValues[i] = words.front();
      words = words.drop_front();
    }
    for (int64_t i = 0; i < type.getRank(); ++i) {
      descriptor.setSize(b, loc, i, sizes[i]);
      descriptor.setStride(b, loc, i, strideValues[i]);
    }
    return UnrealizedConversionCastOp::create(b, loc, type, Value(descriptor)).getResult(0);
  }

  /// Device code: scalars arrive as whole words, and the last two parameters, the range of items, become one: how many
  /// there are. The thread's own number is its item; threads past the end get an empty range. Kernels whose threads work
  /// `together` ask for their numbers themselves.
  static SmallVector<Type> bindThreads(Block *block, bool together) {
    OpBuilder b = OpBuilder::atBlockBegin(block);
    Location loc = block->getParentOp()->getLoc();
    Type i64 = b.getI64Type(), i32 = b.getI32Type();
    SmallVector<Type> types;
    for (BlockArgument arg : block->getArguments().drop_back(2)) {
      Type type = arg.getType();
      if (!isa<LLVM::LLVMPointerType>(type) && type != i64) {
        arg.setType(i64);
        unsigned width = type.getIntOrFloatBitWidth();
        Value bits = arg;
        Operation *first = nullptr;
        if (width < 64)
          bits = arith::TruncIOp::create(b, loc, b.getIntegerType(width), arg), first = bits.getDefiningOp();
        if (isa<FloatType>(type))
          bits = arith::BitcastOp::create(b, loc, type, bits);
        if (!first)
          first = bits.getDefiningOp();
        arg.replaceAllUsesExcept(bits, first);
      }
      types.push_back(arg.getType());
    }
    types.push_back(i64);
    unsigned n = block->getNumArguments();
    if (together) {
      for (Operation *cast : llvm::make_early_inc_range(block->getArgument(n - 2).getUsers()))
        cast->erase(); // to index, unused
      block->eraseArgument(n - 2);
      return types;
    }
    BlockArgument begin = block->getArgument(n - 2), items = block->getArgument(n - 1);
    Value thread = NVVM::ThreadIdXOp::create(b, loc, i32), group = NVVM::BlockIdXOp::create(b, loc, i32),
          size = NVVM::BlockDimXOp::create(b, loc, i32);
    auto wide = [&](Value v) -> Value { return LLVM::ZExtOp::create(b, loc, i64, v); };
    Value item = LLVM::AddOp::create(b, loc, LLVM::MulOp::create(b, loc, wide(group), wide(size)), wide(thread));
    Value one = LLVM::ConstantOp::create(b, loc, i64, b.getI64IntegerAttr(1));
    Value end = LLVM::SMinOp::create(b, loc, items, LLVM::AddOp::create(b, loc, item, one));
    items.replaceAllUsesExcept(end, end.getDefiningOp());
    begin.replaceAllUsesWith(item);
    block->eraseArgument(n - 2);
    return types;
  }

  /// `checks`: it returns a code. `record` is a device kernel's, in which items are threads or threads work together.
  void lower(func::FuncOp kernel, const LLVMTypeConverter &converter, bool checks, const LaunchRecord *record) {
    OpBuilder b(kernel);
    Location loc = kernel.getLoc();
    MLIRContext *context = &getContext();
    Type pointer = LLVM::LLVMPointerType::get(context), i64 = b.getI64Type(), i32 = b.getI32Type();
    std::string name = kernel.getName().str();
    std::string bodyName = name + ".body";

    // The inner function: the same block with plain parameters.
    Block *block = &kernel.getBody().front();
    SmallVector<Type> oldTypes(kernel.getArgumentTypes());
    SmallVector<Type> words;
    SmallVector<bool> noalias;
    b.setInsertionPointToStart(block);
    for (auto [i, type] : llvm::enumerate(oldTypes)) {
      BlockArgument old = block->getArgument(0);
      SmallVector<Value> fresh;
      auto memref = dyn_cast<MemRefType>(type);
      bool unique = memref && !kernel.getArgAttr(i, "moe.may_alias");
      for (int64_t w = 0; w < argumentWords(type); ++w) {
        Type word = memref && w == 0 ? pointer : memref || type.isIndex() ? i64 : type;
        fresh.push_back(block->addArgument(word, loc));
        words.push_back(word);
        noalias.push_back(unique && w == 0);
      }
      Value value = fresh.front();
      if (memref)
        value = rebuild(b, loc, memref, fresh, converter);
      else if (type.isIndex())
        value = arith::IndexCastOp::create(b, loc, b.getIndexType(), value);
      old.replaceAllUsesWith(value);
      block->eraseArgument(0);
    }
    if (record) {
      words = bindThreads(block, kernel->hasAttr("tile.threads"));
      SmallVector<DictionaryAttr> attributes;
      for (auto [i, type] : llvm::enumerate(words))
        attributes.push_back(
            noalias[i] ? b.getDictionaryAttr(b.getNamedAttr(LLVM::LLVMDialect::getNoAliasAttrName(), b.getUnitAttr()))
                       : b.getDictionaryAttr({}));
      finishDevice(kernel, words, attributes, *record);
      return;
    }
    bool vectorized = kernel->hasAttr("moe.vectorized");
    for (NamedAttribute attr : llvm::to_vector(kernel->getDiscardableAttrs()))
      kernel->removeAttr(attr.getName());
    kernel->removeAttr("arg_attrs");
    kernel.setFunctionType(b.getFunctionType(words, {}));
    for (auto [i, unique] : llvm::enumerate(noalias))
      if (unique)
        kernel.setArgAttr(i, LLVM::LLVMDialect::getNoAliasAttrName(), b.getUnitAttr());
    kernel.setName(bodyName);
    kernel.setPrivate();
    if (checks)
      kernel.setFunctionType(b.getFunctionType(words, i32));
    // Internal, and never inlined into the wrapper, which would lose what the parameters say.
    kernel->setAttr("llvm.linkage", LLVM::LinkageAttr::get(context, LLVM::Linkage::Internal));
    kernel->setAttr("passthrough", b.getStrArrayAttr({"noinline"}));
    if (vectorized)
      kernel->setAttr("passthrough", b.getStrArrayAttr({"noinline", "moe-vectorized"}));

    // The outer function: unpack and call.
    b.setInsertionPoint(kernel);
    auto outer = LLVM::LLVMFuncOp::create(b, loc, name, LLVM::LLVMFunctionType::get(i32, {pointer, i64, i64}));
    outer->setAttr("moe.kernel", b.getUnitAttr());
    Block *entry = outer.addEntryBlock(b);
    b.setInsertionPointToStart(entry);
    SmallVector<Value> operands;
    int64_t at = 0;
    for (Type word : ArrayRef<Type>(words).drop_back(2)) {
      Value address = LLVM::GEPOp::create(b, loc, pointer, i64, entry->getArgument(0),
                                          ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(at++)});
      operands.push_back(LLVM::LoadOp::create(b, loc, word, address));
    }
    operands.push_back(entry->getArgument(1));
    operands.push_back(entry->getArgument(2));
    auto call = func::CallOp::create(b, loc, bodyName, checks ? TypeRange(i32) : TypeRange(), operands);
    Value code = checks ? call.getResult(0) : Value(LLVM::ConstantOp::create(b, loc, i32, b.getI32IntegerAttr(0)));
    LLVM::ReturnOp::create(b, loc, ValueRange{code});
  }
};
} // namespace
