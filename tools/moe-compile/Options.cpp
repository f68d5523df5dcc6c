//===- Options.cpp - moe-compile's command line ---------------------------===//
#include "Options.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <vector>

using namespace mlir::moe;
using llvm::StringRef;

namespace {
/// One option of the table.
struct Option {
  const char *name;
  const char *value; ///< what the value is called; empty for a switch
  const char *help;
  std::function<bool(ToolOptions &, StringRef, std::string &)> apply; ///< none: not supported yet
  std::vector<const char *> allowed = {};                             ///< values that are known
};

bool setTarget(ToolOptions &o, StringRef value, std::string &) {
  o.target = value.str();
  return true;
}
} // namespace

/// The value that changes nothing is accepted; any other one says that its time has not come.
static auto onlyDefault(const char *name, const char *value) {
  return [=](ToolOptions &, StringRef given, std::string &error) {
    if (given == value)
      return true;
    error = llvm::formatv("--{0}={1} is not supported yet; only --{0}={2} is", name, given, value).str();
    return false;
  };
}

static const std::vector<Option> &table() {
  static const std::vector<Option> options = {
      {"target", "cpu|cuda", "what the artefact runs on (default: cpu)", setTarget, {"cpu", "cuda"}},
      {"chip", "NAME", "GPU architecture, e.g. sm_90a (default for cuda: sm_90a)",
       [](ToolOptions &o, StringRef v, std::string &) { return o.chip = v.str(), true; }},
      {"precision",
       "f32|bf16",
       "format of activations and of products that are not FP8 (default: f32)",
       onlyDefault("precision", "f32"),
       {"f32", "bf16"}},
      {"fp8",
       "MODE",
       "off, plain, blocks, compensated or lossless (default: off)",
       [](ToolOptions &o, StringRef v, std::string &error) {
         if (v == "compensated" || v == "lossless") {
           error = "--fp8=" + v.str() + " is not supported yet; --fp8=off, --fp8=plain and --fp8=blocks are";
           return false;
         }
         return o.fp8 = v.str(), true;
       },
       {"off", "plain", "blocks", "compensated", "lossless"}},
      {"fp8-keep", "GLOBS", "names of nodes or weights whose products stay high, separated by commas; may be repeated",
       [](ToolOptions &o, StringRef v, std::string &) {
         for (StringRef glob : llvm::split(v, ','))
           o.fp8Keep.push_back(glob.str());
         return true;
       }},
      {"fp8-table", "", "print each product with its recipe and bytes on stderr",
       [](ToolOptions &o, StringRef, std::string &) { return o.fp8Table = true; }},
      {"activations",
       "f32|bf16|f8",
       "format in which activations enter FP8-weight products (default: f32 for cpu, f8 for cuda)",
       [](ToolOptions &o, StringRef v, std::string &) { return o.activations = v.str(), true; },
       {"f32", "bf16", "f8"}},
      {"calibration", "FILE", "tokens to calibrate compensation with", {}},
      {"window", "N", "tokens in a calibration window", {}},
      {"mtp", "FILE", "the draft head's graph", {}},
      {"max-batch", "N", "largest batch, in sequences", {}},
      {"max-sequence", "N", "longest sequence, in tokens", {}},
      {"train", "", "compile the training step too", {}},
      {"loss", "OUTPUT", "the graph output that is the loss", {}},
      {"random-weights", "",
       "draw weights at random instead of reading them: the artefact holds seeds, the runtime fills the memory",
       [](ToolOptions &o, StringRef, std::string &) { return o.randomWeights = true; }},
      {"verify-raise", "", "interpret what was recognised against what it replaces",
       [](ToolOptions &o, StringRef, std::string &) { return o.verifyRaise = true; }},
      {"plan", "", "stop after schedule and print kernels, launches and memory",
       [](ToolOptions &o, StringRef, std::string &) { return o.plan = true; }},
      {"compile-to", "PHASE",
       "stop after import, raise, entries, differentiate, quantize, fuse, schedule, tile or lower and write text to "
       "-o; "
       "emit, the last phase and the default, writes the artefact",
       [](ToolOptions &o, StringRef v, std::string &error) {
         auto phase = parsePhase(v);
         if (!phase) {
           error = "expects --compile-to to name a phase, but it is '" + v.str() + "'";
           return false;
         }
         o.last = *phase;
         return true;
       }},
      {"dump-phases-to", "DIR", "write 01-import.mlir, 02-raise.mlir, … into this folder",
       [](ToolOptions &o, StringRef v, std::string &) { return o.dumpFolder = v.str(), true; }},
      {"json", "", "print a report as JSON on stdout",
       [](ToolOptions &o, StringRef, std::string &) { return o.json = true; }},
  };
  return options;
}

bool parseOptions(int argc, char **argv, ToolOptions &options, std::string &error) {
  auto fail = [&](const std::string &message) {
    error = message;
    return false;
  };
  for (int i = 1; i < argc; ++i) {
    StringRef arg = argv[i];
    if (arg == "--help" || arg == "-h") {
      options.help = true;
      return true;
    }
    if (arg == "--version") {
      options.version = true;
      return true;
    }
    if (arg == "-o" || arg.starts_with("-o=")) {
      if (arg == "-o" && i + 1 == argc)
        return fail("expects a path after -o");
      options.output = arg == "-o" ? argv[++i] : arg.drop_front(3).str();
      continue;
    }
    if (!arg.starts_with("-") || arg == "-") {
      if (!options.input.empty())
        return fail("expects one input, but found '" + options.input + "' and '" + arg.str() + "'");
      options.input = arg.str();
      continue;
    }
    auto [name, value] = arg.ltrim('-').split('=');
    bool hasValue = arg.contains('=');
    auto option = llvm::find_if(table(), [n = name](const Option &o) { return n == o.name; });
    if (option == table().end())
      return fail("unknown option '" + arg.str() + "'; --help lists all");
    if (!*option->value && hasValue)
      return fail("--" + name.str() + " takes no value, but found '" + value.str() + "'");
    if (*option->value && !hasValue) {
      if (i + 1 == argc)
        return fail("expects a value for --" + name.str());
      value = argv[++i];
    }
    if (!option->allowed.empty() && llvm::none_of(option->allowed, [v = value](const char *a) { return v == a; }))
      return fail("expects --" + name.str() + " to be one of " + llvm::join(option->allowed, ", ") + ", but it is '" +
                  value.str() + "'");
    if (!option->apply)
      return fail("--" + name.str() + " is not supported yet");
    if (!option->apply(options, value, error))
      return false;
  }
  if (options.input.empty())
    return fail("expects an input: an .onnx, .mlir or .mlirbc file");
  if (options.output.empty() && !options.plan && options.last == Phase::Emit)
    return fail("expects -o with the artefact's folder");
  if (options.fp8 == "off" && !options.activations.empty() && options.activations != "f32")
    return fail("expects --activations=" + options.activations + " with --fp8=plain or --fp8=blocks, but --fp8 is off");
  for (auto [name, given] :
       {std::pair<const char *, bool>{"fp8-keep", !options.fp8Keep.empty()}, {"fp8-table", options.fp8Table}})
    if (given && options.fp8 == "off")
      return fail("expects --" + std::string(name) + " with --fp8=plain or --fp8=blocks, but --fp8 is off");
  if (options.target == "cuda" && options.chip.empty())
    options.chip = "sm_90a";
  if (options.target == "cpu" && !options.chip.empty())
    return fail("expects no --chip with --target=cpu, but it is '" + options.chip + "'");
  return true;
}

std::string helpText() {
  std::string text = "moe-compile: compiles a mixture-of-experts model ahead of time\n\n"
                     "usage: moe-compile IN.{onnx,mlir,mlirbc} -o model.moe [options]\n\noptions:\n";
  auto line = [&](std::string name, const std::string &help) {
    name.resize(std::max<size_t>(name.size(), 32), ' ');
    text += "  " + name + " " + help + "\n";
  };
  line("-o PATH", "the artefact's folder (replaced if it is one); text with --compile-to");
  for (const Option &option : table())
    line("--" + std::string(option.name) + (*option.value ? "=" + std::string(option.value) : ""),
         std::string(option.help) + (option.apply ? "" : " (not supported yet)"));
  line("--help", "print this");
  line("--version", "print the version");
  text += "\nexit codes: 0 done; 1 a check (--verify-raise) failed; 2 wrong use or bad input\n";
  return text;
}
