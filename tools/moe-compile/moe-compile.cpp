//===- moe-compile.cpp - compiles a model into an artefact ----------------===//
#include "Options.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>
#include <sys/resource.h>
#include <unistd.h>

using namespace mlir;
using namespace mlir::moe;

/// Where a diagnostic points: a file's line, or the author's node.
static void printPlace(llvm::raw_ostream &out, Location loc) {
  if (auto file = dyn_cast<FileLineColLoc>(loc)) {
    out << file.getFilename().strref() << ":" << file.getLine() << ":" << file.getColumn() << ": ";
  } else if (auto name = dyn_cast<NameLoc>(loc)) {
    out << "node '" << name.getName().strref() << "': ";
  } else if (auto fused = dyn_cast<FusedLoc>(loc)) {
    if (!fused.getLocations().empty())
      printPlace(out, fused.getLocations().front());
  } else if (auto call = dyn_cast<CallSiteLoc>(loc)) {
    printPlace(out, call.getCallee());
  }
}

static int64_t peakMemory() {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * int64_t(1024);
}

static void printJson(const CompileReport &report, double seconds) {
  llvm::json::OStream out(llvm::outs(), 2);
  out.object([&] {
    out.attribute("seconds", seconds);
    out.attribute("peak_memory_bytes", peakMemory());
    out.attribute("weight_bytes", report.weightBytes);
    auto count = [](std::optional<int64_t> n) { return n ? llvm::json::Value(*n) : llvm::json::Value(nullptr); };
    out.attribute("parameters", count(report.parameters));
    out.attributeObject("recognised", [&] {
      out.attribute("router", count(report.recognised.router));
      out.attribute("experts", count(report.recognised.experts));
      out.attribute("attention", count(report.recognised.attention));
      out.attribute("rms_norm", count(report.recognised.rmsNorm));
      out.attribute("mtp_head", count(report.recognised.mtpHead));
    });
    out.attributeArray("generic", [&] {
      for (const CompileReport::Generic &part : report.generic)
        out.object([&] {
          out.attribute("op", llvm::json::fixUTF8(part.op));
          out.attribute("node", llvm::json::fixUTF8(part.node));
          out.attribute("reason", llvm::json::fixUTF8(part.reason));
        });
    });
    if (!report.plan.empty()) {
      out.attributeBegin("plan");
      out.rawValue(report.plan);
      out.attributeEnd();
    }
  });
  llvm::outs() << "\n";
}

static void printText(const ToolOptions &options, const CompileReport &report, double seconds) {
  if (!report.plan.empty()) {
    llvm::outs() << report.plan << "\n";
    return;
  }
  llvm::raw_ostream &out = llvm::errs();
  for (const CompileReport::Generic &part : report.generic) {
    out << "kept " << (part.ops ? std::to_string(part.ops) + " ops of " : std::string()) << part.node << " as generic ("
        << part.op << "): " << part.reason << "\n";
  }
  if (options.last != Phase::Emit)
    return;
  auto count = [](std::optional<int64_t> n) { return n ? std::to_string(*n) : std::string("an unknown number of"); };
  out << llvm::formatv(
      "{0}: {1} parameters, {2:F1} MB of weights; {3} routers, {4} expert banks, {5} attentions, {6} norms "
      "recognised; {7:F2} s, {8:F0} MB\n",
      options.output, count(report.parameters), report.weightBytes / 1e6, count(report.recognised.router),
      count(report.recognised.experts), count(report.recognised.attention), count(report.recognised.rmsNorm), seconds,
      peakMemory() / 1e6);
}

int main(int argc, char **argv) {
  auto start = std::chrono::steady_clock::now();
  ToolOptions options;
  std::string error;
  if (!parseOptions(argc, argv, options, error)) {
    llvm::errs() << "moe-compile: error: " << error << "\n";
    return 2;
  }
  if (options.help) {
    llvm::outs() << helpText();
    return 0;
  }
  if (options.version) {
    llvm::outs() << "moe-compile (" << kCompilerVersion << ")\n";
    return 0;
  }
  DialectRegistry registry;
  registerCompilerDialects(registry);
  MLIRContext context(registry);
  context.printOpOnDiagnostic(false); // a note with the whole op helps nobody here: the place is named
  ScopedDiagnosticHandler handler(&context, [](Diagnostic &diagnostic) {
    auto print = [](Diagnostic &d, StringRef kind) {
      llvm::errs() << "moe-compile: " << kind << ": ";
      printPlace(llvm::errs(), d.getLocation());
      llvm::errs() << d << "\n";
    };
    // Remarks say where a path is not the fast one.
    DiagnosticSeverity severity = diagnostic.getSeverity();
    print(diagnostic, severity == DiagnosticSeverity::Error     ? "error"
                      : severity == DiagnosticSeverity::Warning ? "warning"
                                                                : "remark");
    for (Diagnostic &note : diagnostic.getNotes())
      print(note, "note");
    return success();
  });
  CompileReport report;
  if (failed(compileModel(options, &context, report)))
    return report.checkFailed ? 1 : 2;
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (options.json)
    printJson(report, seconds);
  else
    printText(options, report, seconds);
  llvm::outs().flush();
  // Tearing down the context takes time and gives nothing back that the system does not.
  _exit(0);
}
