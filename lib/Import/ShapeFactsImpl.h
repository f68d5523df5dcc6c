//===- ShapeFactsImpl.h - the record of facts, shared by the inference files ---===//
#ifndef MOE_LIB_IMPORT_SHAPEFACTSIMPL_H
#define MOE_LIB_IMPORT_SHAPEFACTSIMPL_H

#include "moe/Import/ShapeFacts.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"

namespace mlir::moe {

/// What is known of one tensor.
struct TensorFacts {
  /// One expression a dimension; null where nothing is known (only while an op's results are inferred).
  SmallVector<AffineExpr> shape;
  Type element;
  /// Row-major values of a small integer or bool tensor (null: this one is unknown). Only meaningful if `tracked`.
  SmallVector<AffineExpr> values;
  bool tracked = false;
};

class ShapeFacts::Impl {
public:
  /// Tensors with more elements are not tracked by value.
  static constexpr size_t kMaxTracked = 64;

  Impl(ShapeFacts &facts, func::FuncOp func);

  TensorFacts &of(Value value);
  LogicalResult infer(Operation *op);
  AffineExpr canonical(AffineExpr e);
  AffineExpr newSymbol(Value value, int64_t dim, StringRef name = {});
  AffineExpr number(int64_t value) { return getAffineConstantExpr(value, context); }

  struct Symbol {
    Value value; // null once its op is gone without a replacement
    int64_t dim;
    std::string name;
  };

  ShapeFacts &facts;
  MLIRContext *context;
  SmallVector<Symbol> symbols;
  llvm::DenseMap<Value, std::unique_ptr<TensorFacts>> known;

private:
  void readArguments(func::FuncOp func);
  void readType(Value value);
};

/// Infers what one op's results are. Null dims become new symbols; `inferred` stays false for ops it does not know,
/// whose facts are then read from their types.
LogicalResult inferOp(ShapeFacts &facts, ShapeFacts::Impl &impl, Operation *op, MutableArrayRef<TensorFacts> results,
                      bool &inferred);

} // namespace mlir::moe

#endif // MOE_LIB_IMPORT_SHAPEFACTSIMPL_H
