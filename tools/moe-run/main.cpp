// moe-run: runs artefacts. The subcommands are in files of their own.
#include "Commands.h"

#include <csignal>
#include <cstring>

using namespace moe;

static void printUsage(const std::vector<Command> &commands) {
  printf("moe-run COMMAND ...: checks, runs and measures artefacts that moe-compile made (version %s)\n\n",
         moe_version());
  for (const Command &command : commands)
    printf("  moe-run %-9s %s\n", command.spec.name, command.spec.usage);
  printf("\nmoe-run COMMAND --help describes one command: its options, with units and defaults.\n"
         "Every command takes --threads N, --device N and --json.\n"
         "exit code: 0 done, 1 the check failed, 2 wrong use or bad input\n");
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_DFL);
  std::vector<Command> commands = {checkCommand(), inferCommand(), generateCommand(),
                                   evalCommand(),  benchCommand(), trainCommand()};
  std::string name = argc > 1 ? argv[1] : "";
  if (name == "--help" || name == "-h" || name == "help") {
    printUsage(commands);
    return 0;
  }
  if (name == "--version") {
    printf("moe-run %s\n", moe_version());
    return 0;
  }
  for (const Command &command : commands) {
    if (name != command.spec.name)
      continue;
    Options options;
    int exitCode = 0;
    Status status = Options::parse(command.spec, argc - 2, argv + 2, options);
    if (status.ok() && options.help()) {
      printHelp(command.spec);
      return 0;
    }
    if (status.ok())
      status = command.run(options, exitCode);
    fflush(stdout);
    if (!status.ok()) {
      fprintf(stderr, "moe-run: error: %s\n", status.message().c_str());
      return 2;
    }
    return exitCode;
  }
  fprintf(
      stderr,
      "moe-run: error: expected a command (check, infer, generate, eval, bench, train), found %s; see moe-run --help\n",
      name.empty() ? "nothing" : name.c_str());
  return 2;
}
