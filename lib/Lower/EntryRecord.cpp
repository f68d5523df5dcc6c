//===- EntryRecord.cpp - what the manifest says about an entry point ------===//
#include "EntryRecord.h"
#include "moe/Lower/Manifest.h"
#include "moe/Support/Dtype.h"

using namespace mlir;
using namespace mlir::moe;

/// The author's node names in a location, in order, each once.
static void collectNames(Location loc, llvm::SetVector<StringRef> &names) {
  if (auto name = dyn_cast<NameLoc>(loc)) {
    names.insert(name.getName().strref());
  } else if (auto fused = dyn_cast<FusedLoc>(loc)) {
    for (Location part : fused.getLocations())
      collectNames(part, names);
  } else if (auto call = dyn_cast<CallSiteLoc>(loc)) {
    collectNames(call.getCallee(), names);
  }
}

namespace {
/// What the manifest says about one entry point.
struct EntryRecord {
  func::FuncOp entry;
  Builder b;
  DenseMap<Value, std::string> names; ///< of extents
  unsigned unnamed = 0;
  SmallVector<SmallVector<Attribute>> inputDims;

  explicit EntryRecord(func::FuncOp entry) : entry(entry), b(entry.getContext()) {
    for (BlockArgument arg : entry.getArguments()) {
      auto dims = entry.getArgAttrOfType<ArrayAttr>(arg.getArgNumber(), "moe.dims");
      SmallVector<Attribute> &out = inputDims.emplace_back();
      for (auto [i, d] : llvm::enumerate(cast<MemRefType>(arg.getType()).getShape())) {
        if (!ShapedType::isDynamic(d))
          out.push_back(b.getI64IntegerAttr(d));
        else if (dims && i < dims.size() && isa<StringAttr>(dims[i]))
          out.push_back(dims[i]);
        else
          out.push_back(b.getStringAttr("d" + std::to_string(unnamed++)));
      }
    }
  }

  /// An expression over named extents, or empty if only data decide the value.
  std::string expression(Value v) {
    if (auto constant = getConstantIntValue(v))
      return std::to_string(*constant);
    Operation *op = v.getDefiningOp();
    if (!op)
      return {};
    if (auto dim = dyn_cast<memref::DimOp>(op))
      return dim.getConstantIndex() ? extent(dim.getSource(), *dim.getConstantIndex()) : "";
    auto binary = [&](StringRef sign) -> std::string {
      std::string a = expression(op->getOperand(0)), c = expression(op->getOperand(1));
      return a.empty() || c.empty() ? "" : "(" + a + " " + sign.str() + " " + c + ")";
    };
    if (isa<arith::MulIOp>(op)) {
      std::string a = expression(op->getOperand(0)), c = expression(op->getOperand(1));
      return a.empty() || c.empty() ? "" : a + " * " + c;
    }
    if (isa<arith::AddIOp>(op))
      return binary("+");
    if (isa<arith::SubIOp>(op))
      return binary("-");
    if (isa<arith::DivSIOp, arith::DivUIOp, arith::FloorDivSIOp>(op))
      return binary("/");
    if (isa<arith::IndexCastOp, arith::ExtSIOp, arith::ExtUIOp, arith::TruncIOp>(op))
      return expression(op->getOperand(0));
    return {};
  }

  /// The size of one dim of a buffer.
  std::string extent(Value memref, int64_t i) {
    auto type = cast<MemRefType>(memref.getType());
    if (!type.isDynamicDim(i))
      return std::to_string(type.getDimSize(i));
    if (auto arg = dyn_cast<BlockArgument>(memref))
      return arg.getOwner() == &entry.getBody().front() ? cast<StringAttr>(inputDims[arg.getArgNumber()][i]).str() : "";
    Operation *op = memref.getDefiningOp();
    if (auto alloc = dyn_cast<memref::AllocOp>(op))
      return expression(alloc.getDynamicSizes()[type.getDynamicDimIndex(i)]);
    if (auto view = dyn_cast<memref::ExpandShapeOp>(op)) {
      OpFoldResult size = view.getMixedOutputShape()[i];
      return isa<Value>(size) ? expression(cast<Value>(size)) : "";
    }
    if (auto view = dyn_cast<memref::CollapseShapeOp>(op)) {
      std::string product;
      SmallVector<ReassociationIndices> groups = view.getReassociationIndices();
      for (int64_t d : groups[i]) {
        std::string factor = extent(view.getSrc(), d);
        if (factor.empty())
          return {};
        if (factor != "1")
          product += (product.empty() ? "" : " * ") + factor;
      }
      return product.empty() ? "1" : product;
    }
    if (auto view = dyn_cast<memref::CastOp>(op))
      return extent(view.getSource(), i);
    return {};
  }

  std::string bytes(memref::AllocOp alloc) {
    MemRefType type = alloc.getType();
    int64_t constant = (type.getElementTypeBitWidth() + 7) / 8;
    std::string text;
    for (int64_t i = 0; i < type.getRank(); ++i) {
      if (!type.isDynamicDim(i)) {
        constant *= type.getDimSize(i);
        continue;
      }
      std::string factor = extent(alloc, i);
      text += (text.empty() ? "" : " * ") + (factor.empty() ? "?" : factor);
    }
    return text.empty() ? std::to_string(constant) : constant == 1 ? text : text + " * " + std::to_string(constant);
  }

  DictionaryAttr value(StringRef name, Type type, DictionaryAttr attrs, ArrayRef<Attribute> shape, StringRef role) {
    auto memref = cast<MemRefType>(type);
    StringRef dtype;
    if (auto attr = attrs ? attrs.getAs<StringAttr>("moe.dtype") : nullptr)
      dtype = attr.strref();
    std::string own = dtypeName(memref.getElementType());
    SmallVector<NamedAttribute> fields = {
        b.getNamedAttr("name", b.getStringAttr(name)),
        b.getNamedAttr("dtype", b.getStringAttr(dtype.empty() ? StringRef(own) : dtype)),
        b.getNamedAttr("shape", b.getArrayAttr(shape))};
    if (!role.empty())
      fields.push_back(b.getNamedAttr("role", b.getStringAttr(role)));
    if (auto most = attrs ? attrs.getAs<IntegerAttr>("moe.max_value") : nullptr)
      fields.push_back(b.getNamedAttr("max_value", most));
    return b.getDictionaryAttr(fields);
  }

  /// Why a graph of the launches cannot be replayed on a device, or empty: the host program reads from it.
  std::string notCapturable() {
    std::string why;
    auto where = [](Operation *op) {
      llvm::SetVector<StringRef> names;
      collectNames(op->getLoc(), names);
      return names.empty() ? std::string() : " (" + names.front().str() + ")";
    };
    entry.walk([&](Operation *op) {
      auto alloc = dyn_cast<memref::AllocOp>(op);
      if (isa<memref::LoadOp>(op))
        why = "the host program reads a value that the device computes" + where(op);
      else if (alloc &&
               (alloc->hasAttr("moe.late") || !(alloc->hasAttr("moe.temporary") || alloc->hasAttr("moe.output"))))
        why = "the size of a buffer depends on data" + where(op);
      return why.empty() ? WalkResult::advance() : WalkResult::interrupt();
    });
    return why;
  }

  /// `text` with the extents of a launch's arguments in place of `$argument.dim`; empty if one is unknown.
  std::string overExtents(StringRef text, LaunchOp launch) {
    std::string out;
    while (true) {
      auto [before, after] = text.split('$');
      out += before.str();
      if (after.empty())
        return out;
      unsigned argument, d;
      if (after.consumeInteger(10, argument) || !after.consume_front(".") || after.consumeInteger(10, d))
        return {};
      std::string factor = extent(launch.getArgs()[argument], d);
      if (factor.empty())
        return {};
      out += StringRef(factor).contains(' ') ? "(" + factor + ")" : factor;
      text = after;
    }
  }

  /// The operation that names a weight or constant, through views; null for other buffers.
  static Operation *weightOf(Value v) {
    while (Operation *op = v.getDefiningOp()) {
      if (isa<GetWeightOp, memref::GetGlobalOp>(op))
        return op;
      if (!isa<memref::CastOp, memref::CollapseShapeOp, memref::ExpandShapeOp, memref::SubViewOp, memref::TransposeOp>(
              op))
        return nullptr;
      v = op->getOperand(0);
    }
    return nullptr;
  }

  /// The multiply-adds of all products, counted as two, and the bytes that a run must move at least: inputs, outputs and
  /// weights once; of a bank the groups that have rows. Empty where an extent is not known.
  void addCost(ProgramTables &tables, SmallVectorImpl<NamedAttribute> &fields) {
    llvm::MapVector<StringRef, std::pair<int64_t, std::string>> banks; // name -> bytes of a group, active groups
    llvm::MapVector<StringRef, int64_t> whole;
    llvm::StringMap<int64_t> counts;
    SmallVector<std::string> terms;
    bool known = true, counted = true;
    auto staticBytes = [](Operation *weight) {
      auto type = cast<MemRefType>(weight->getResult(0).getType());
      return type.getNumElements() * ((type.getElementTypeBitWidth() + 7) / 8);
    };
    entry.walk([&](LaunchOp launch) {
      DictionaryAttr cost = tables.kernelCosts.lookup(launch.getKernel());
      if (!cost) {
        known = counted = false;
        return;
      }
      std::string flops = overExtents(cost.getAs<StringAttr>("flops"), launch);
      counted &= !flops.empty();
      if (flops != "0" && counts[flops]++ == 0)
        terms.push_back(flops);
      auto numbers = cost.getAs<DenseI64ArrayAttr>("banks");
      if (!numbers)
        return;
      int64_t groups = cost.getAs<IntegerAttr>("groups").getInt();
      std::string rows = overExtents(cost.getAs<StringAttr>("rows"), launch);
      if (rows.empty() || groups < 1)
        return;
      for (int64_t i : numbers.asArrayRef())
        if (Operation *weight = weightOf(launch.getArgs()[i]))
          banks[weight->getAttrOfType<FlatSymbolRefAttr>("name").getValue()] = {
              staticBytes(weight) / groups, "active(" + std::to_string(groups) + ", " + rows + ")"};
    });
    entry.walk([&](Operation *op) {
      if (isa<GetWeightOp, memref::GetGlobalOp>(op))
        if (StringRef name = op->getAttrOfType<FlatSymbolRefAttr>("name").getValue(); !banks.contains(name))
          whole[name] = staticBytes(op);
    });
    auto join = [](ArrayRef<std::string> parts) { return llvm::join(parts, " + "); };
    if (counted) {
      SmallVector<std::string> sums;
      for (const std::string &term : terms)
        sums.push_back((counts[term] > 1 ? std::to_string(counts[term]) + " * " : "") + term);
      fields.push_back(b.getNamedAttr("flops", b.getStringAttr(sums.empty() ? "0" : join(sums))));
    }
    int64_t constant = 0;
    for (auto &[name, bytes] : whole)
      constant += bytes;
    SmallVector<std::string> sums = {std::to_string(constant)};
    llvm::MapVector<StringRef, int64_t> active; // bytes of a group, by what says how many there are
    for (auto &[name, bank] : banks)
      active[bank.second] += bank.first;
    for (auto &[count, bytes] : active)
      sums.push_back(std::to_string(bytes) + " * " + count.str());
    auto value = [&](Value v) {
      auto type = cast<MemRefType>(v.getType());
      std::string text = std::to_string((type.getElementTypeBitWidth() + 7) / 8);
      for (int64_t i = 0; i < type.getRank(); ++i) {
        std::string factor = extent(v, i);
        known &= !factor.empty();
        text += " * " + (StringRef(factor).contains(' ') ? "(" + factor + ")" : factor);
      }
      sums.push_back(text);
    };
    for (BlockArgument arg : entry.getArguments())
      value(arg);
    for (Value result : entry.getBody().front().getTerminator()->getOperands())
      value(result);
    if (known)
      fields.push_back(b.getNamedAttr("bytes", b.getStringAttr(join(sums))));
  }

  DictionaryAttr make(ProgramTables &tables, ArrayRef<unsigned> weights) {
    auto nameOf = [&](DictionaryAttr attrs, const std::string &otherwise) {
      auto name = attrs ? attrs.getAs<StringAttr>("moe.name") : nullptr;
      return name ? name.str() : otherwise;
    };
    // Roles by the names exporters use; one integer matrix or one float [batch, seq, V] alone says as much.
    SmallVector<unsigned> integerMatrices;
    for (BlockArgument arg : entry.getArguments()) {
      auto type = cast<MemRefType>(arg.getType());
      if (type.getRank() == 2 && isa<IntegerType>(type.getElementType()) && !type.getElementType().isInteger(1))
        integerMatrices.push_back(arg.getArgNumber());
    }
    bool named = false;
    for (BlockArgument arg : entry.getArguments())
      named |= nameOf(entry.getArgAttrDict(arg.getArgNumber()), "") == "input_ids";
    SmallVector<Attribute> inputs, outputs, temporaries, steps, used;
    for (BlockArgument arg : entry.getArguments()) {
      unsigned i = arg.getArgNumber();
      std::string name = nameOf(entry.getArgAttrDict(i), "input_" + std::to_string(i)), role;
      if (name == "input_ids" || (!named && integerMatrices.size() == 1 && integerMatrices[0] == i))
        role = "token_ids";
      else if (name == "attention_mask" || name == "position_ids")
        role = name;
      inputs.push_back(value(name, arg.getType(), entry.getArgAttrDict(i), inputDims[i], role));
    }
    auto ret = cast<func::ReturnOp>(entry.getBody().front().getTerminator());
    SmallVector<unsigned> cubes;
    bool hasLogits = false;
    for (auto [i, result] : llvm::enumerate(ret.getOperands())) {
      auto type = cast<MemRefType>(result.getType());
      if (type.getRank() == 3 && isa<FloatType>(type.getElementType()) && !type.isDynamicDim(2))
        cubes.push_back(i);
      hasLogits |= nameOf(entry.getResultAttrDict(i), "") == "logits";
    }
    for (auto [i, result] : llvm::enumerate(ret.getOperands())) {
      auto type = cast<MemRefType>(result.getType());
      DictionaryAttr attrs = entry.getResultAttrDict(i);
      auto dims = attrs ? attrs.getAs<ArrayAttr>("moe.dims") : nullptr;
      SmallVector<Attribute> shape;
      for (int64_t d = 0; d < type.getRank(); ++d) {
        std::string text = type.isDynamicDim(d) ? extent(result, d) : "";
        if (!type.isDynamicDim(d))
          shape.push_back(b.getI64IntegerAttr(type.getDimSize(d)));
        else if (text.empty())
          shape.push_back(b.getUnitAttr()); // null
        else if (dims && d < static_cast<int64_t>(dims.size()) && isa<StringAttr>(dims[d]))
          shape.push_back(dims[d]);
        else
          shape.push_back(b.getStringAttr(text));
      }
      std::string name = nameOf(attrs, "output_" + std::to_string(i)), role;
      if (name == "logits" || (!hasLogits && cubes.size() == 1 && cubes[0] == i))
        role = "logits";
      outputs.push_back(value(name, type, attrs, shape, role));
    }
    entry.walk([&](memref::AllocOp alloc) {
      auto place = alloc->getAttrOfType<DenseI64ArrayAttr>("moe.temporary");
      if (place)
        temporaries.push_back(b.getDictionaryAttr({b.getNamedAttr("size", b.getStringAttr(bytes(alloc))),
                                                   b.getNamedAttr("first", b.getI64IntegerAttr(place[1])),
                                                   b.getNamedAttr("last", b.getI64IntegerAttr(place[2]))}));
    });
    entry.walk([&](LaunchOp launch) {
      llvm::SetVector<StringRef> names;
      collectNames(launch.getLoc(), names);
      std::string source;
      for (auto [i, name] : llvm::enumerate(names)) {
        if (i == 8) {
          source += ", …";
          break;
        }
        source += (i ? ", " : "") + name.str();
      }
      steps.push_back(
          b.getDictionaryAttr({b.getNamedAttr("kernel", b.getI64IntegerAttr(tables.kernels[launch.getKernel()])),
                               b.getNamedAttr("op", b.getStringAttr(tables.kernelOps[launch.getKernel()])),
                               b.getNamedAttr("source", b.getStringAttr(source))}));
    });
    for (unsigned w : weights)
      used.push_back(b.getI64IntegerAttr(w));
    SmallVector<NamedAttribute> fields = {b.getNamedAttr("name", entry.getSymNameAttr()),
                                          b.getNamedAttr("inputs", b.getArrayAttr(inputs)),
                                          b.getNamedAttr("outputs", b.getArrayAttr(outputs)),
                                          b.getNamedAttr("weights", b.getArrayAttr(used)),
                                          b.getNamedAttr("temporaries", b.getArrayAttr(temporaries)),
                                          b.getNamedAttr("steps", b.getArrayAttr(steps))};
    addCost(tables, fields);
    if (std::string why = tables.device ? notCapturable() : ""; !why.empty())
      fields.push_back(b.getNamedAttr("not_capturable", b.getStringAttr(why)));
    return b.getDictionaryAttr(fields);
  }
};
} // namespace

DictionaryAttr moe::describeEntry(func::FuncOp entry, ProgramTables &tables, ArrayRef<unsigned> weights) {
  return EntryRecord(entry).make(tables, weights);
}

SmallVector<DictionaryAttr> moe::describeEntries(ModuleOp module) {
  ProgramTables tables;
  SmallVector<func::FuncOp> entries;
  for (auto func : module.getOps<func::FuncOp>()) {
    if (!func->hasAttr("moe.kernel")) {
      entries.push_back(func);
      continue;
    }
    auto op = func->getAttrOfType<StringAttr>("moe.op");
    unsigned number = tables.kernels.size();
    tables.kernels[func.getName()] = number;
    tables.kernelOps[func.getName()] = op ? op.str() : "";
    tables.kernelCosts[func.getName()] = func->getAttrOfType<DictionaryAttr>("moe.cost");
  }
  SmallVector<DictionaryAttr> records;
  for (func::FuncOp entry : entries)
    records.push_back(describeEntry(entry, tables, {}));
  return records;
}
