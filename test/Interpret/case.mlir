// Cases: matched by name or by number, compared with a tolerance per number format, wrong files refused with exit code 2.
// DEFINE: %{proto} = %python %S/Inputs/tensor_proto.py

// RUN: rm -rf %t && mkdir -p %t/names %t/numbers %t/wrong %t/shape %t/missing %t/broken %t/bf16
// RUN: %{proto} %t/names/input_0.pb i64 2 10,20 --name scale --typed
// RUN: %{proto} %t/names/input_1.pb f32 2,2 1,2,3,4 --name x
// RUN: %{proto} %t/names/output_0.pb f32 2,2 10,20.0078125,60,80 --typed
// RUN: moe-opt %s --moe-interpret=case=%t/names -o /dev/null 2>&1 | FileCheck %s --check-prefix=PASS
// PASS: output 'y': max_abs 0.00781 max_rel 0.00039 mismatches 0 of 4

// RUN: %{proto} %t/numbers/input_0.pb f32 2,2 1,2,3,4
// RUN: %{proto} %t/numbers/input_1.pb i64 2 10,20
// RUN: %{proto} %t/numbers/output_0.pb f32 2,2 10,20,61,nan
// RUN: not moe-opt %s --moe-interpret=case=%t/numbers -o /dev/null 2>&1 | FileCheck %s --check-prefix=DIFFERS
// DIFFERS: error: output 'y' of case '{{.*}}' differs: max_abs 1 max_rel 0.0164 mismatches 2 of 4, first at [1, 0]: expected 61, found 60
// RUN: moe-opt %s --moe-interpret="case=%t/names atol=2" -o /dev/null

// RUN: %{proto} %t/wrong/input_0.pb i64 2,2 1,2,3,4
// RUN: %{proto} %t/wrong/input_1.pb i64 2 10,20
// RUN: cp %t/names/output_0.pb %t/wrong && cp %t/names/output_0.pb %t/shape && cp %t/names/output_0.pb %t/missing && cp %t/names/output_0.pb %t/broken
// RUN: not moe-opt %s --moe-interpret=case=%t/wrong -o /dev/null 2>&1 | FileCheck %s --check-prefix=TYPE
// TYPE: error: expects input 0 'x' of the case to be 'tensor<?x2xf32>', found 'tensor<2x2xi64>'

// RUN: %{proto} %t/shape/input_0.pb f32 2,3 1,2,3,4,5,6
// RUN: %{proto} %t/shape/input_1.pb i64 2 10,20
// RUN: not moe-opt %s --moe-interpret=case=%t/shape -o /dev/null 2>&1 | FileCheck %s --check-prefix=SHAPE
// SHAPE: error: expects input 0 'x' of the case to be 'tensor<?x2xf32>', found 'tensor<2x3xf32>'

// RUN: cp %t/numbers/input_0.pb %t/missing
// RUN: not moe-opt %s --moe-interpret=case=%t/missing -o /dev/null 2>&1 | FileCheck %s --check-prefix=MISSING
// MISSING: error: expects 2 files input_N.pb in '{{.*}}missing', found 1
// RUN: %python -c "import subprocess,sys; sys.exit(subprocess.run(['%moe_bin/moe-opt', '%s', '--moe-interpret=case=%t/missing', '-o', '/dev/null']).returncode != 2)"
// RUN: %python -c "import subprocess,sys; sys.exit(subprocess.run(['%moe_bin/moe-opt', '%s', '--moe-interpret=case=%t/numbers', '-o', '/dev/null']).returncode != 1)"

// RUN: cp %t/numbers/input_0.pb %t/broken && head -c 7 %t/numbers/input_1.pb > %t/broken/input_1.pb
// RUN: not moe-opt %s --moe-interpret=case=%t/broken -o /dev/null 2>&1 | FileCheck %s --check-prefix=BROKEN
// BROKEN: error: expects '{{.*}}input_1.pb' to hold a TensorProto, but its bytes are not valid
// RUN: not moe-opt %s --moe-interpret=case=%t/none -o /dev/null 2>&1 | FileCheck %s --check-prefix=FOLDER
// FOLDER: error: expects a folder with a case, found no folder

// RUN: %{proto} %t/bf16/input_0.pb bf16 4 1,1,1,100
// RUN: %{proto} %t/bf16/output_0.pb bf16 4 1,2,1,100
// RUN: moe-opt %s --moe-interpret="case=%t/bf16 entry=copy" -o /dev/null 2>&1 | FileCheck %s --check-prefix=BF16
// BF16: output result 0: max_abs 1 max_rel 0.5 mismatches 0 of 4
func.func @main(%x: tensor<?x2xf32> {moe.name = "x"}, %scale: tensor<2xi64> {moe.name = "scale"}) -> (tensor<?x2xf32> {moe.name = "y"}) {
  %y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%scale : tensor<2xi64>) outs(%x : tensor<?x2xf32>) {
  ^bb0(%s: i64, %v: f32):
    %f = arith.sitofp %s : i64 to f32
    %p = arith.mulf %f, %v : f32
    linalg.yield %p : f32
  } -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}
// 3 % of the root mean square of the output, 50, is allowed on top of 3 % of the element.
func.func @copy(%x: tensor<4xbf16>) -> tensor<4xbf16> {
  return %x : tensor<4xbf16>
}
