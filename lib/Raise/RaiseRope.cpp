//===- RaiseRope.cpp - rotary position embeddings become moe.rope ----------===//
#include "OnnxBuild.h"
#include "moe/Raise/Passes.h"

#define DEBUG_TYPE "moe-raise-rope"

namespace mlir::moe {
#define GEN_PASS_DEF_RAISEROPE
#include "moe/Raise/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
struct RaiseRope : moe::impl::RaiseRopeBase<RaiseRope> {
  using RaiseRopeBase::RaiseRopeBase;
  void runOnOperation() override {}
};
} // namespace
