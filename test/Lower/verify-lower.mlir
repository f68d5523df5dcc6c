// What has no code for the target is named, not left standing.
// RUN: moe-opt %s -moe-verify-lower -verify-diagnostics

llvm.func @fine() {
  llvm.return
}
llvm.func @rest(%x: f32) {
  // expected-error@+1 {{'math.exp' op has no lowering to code for this target}}
  %0 = math.exp %x : f32
  llvm.return
}
