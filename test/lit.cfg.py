"""The lit suite: FileCheck tests of passes and ops, end-to-end tests, and the runtime's own tests."""
import os
import shutil
import lit.formats

config.name = "moe"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["models", "Inputs", "CMakeLists.txt"]
config.test_source_root = os.path.join(config.moe_source, "test")
config.test_exec_root = os.path.join(config.moe_build, "test")
# The tools under test come first, then FileCheck, not and split-file.
config.environment["PATH"] = os.pathsep.join(
    [os.path.join(config.moe_build, "bin"), config.llvm_tools, os.environ.get("PATH", "")])
models = os.environ.get("MOE_TEST_MODELS", os.path.join(config.moe_build, "test-models"))
config.substitutions += [
    ("%moe_bin", os.path.join(config.moe_build, "bin")),
    ("%moe_source", config.moe_source),
    ("%models", models),
    ("%python", "python3"),
]
if os.path.isdir(models):
    config.available_features.add("models")
for tool in ("clang-22", "clang-format-22"):
    if shutil.which(tool):
        config.available_features.add(tool)
# NVIDIA's assembler, to check what a kernel becomes.
if shutil.which("ptxas", path=config.environment["PATH"]):
    config.available_features.add("ptxas")
