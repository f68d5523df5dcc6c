// Options.h - the command line: one table a subcommand gives parsing, --help and errors.
#ifndef MOE_RUN_OPTIONS_H
#define MOE_RUN_OPTIONS_H

#include "base/Status.h"

#include <map>
#include <string>
#include <vector>

namespace moe {

struct OptionSpec {
  const char *name;  // without the dashes
  const char *value; // what stands behind it in --help; "" for a flag
  const char *help;  // unit and default included
};

struct CommandSpec {
  const char *name, *usage, *summary;
  std::vector<OptionSpec> options;
  size_t minArguments, maxArguments; // positional
};

/// What was given. Options may be repeated; get returns the last.
class Options {
public:
  /// Parses argv behind the subcommand. Unknown options, missing values and a wrong number of arguments are errors.
  static Status parse(const CommandSpec &command, int argc, char **argv, Options &out);

  const std::vector<std::string> &arguments() const { return arguments_; }
  bool has(const std::string &name) const { return values_.count(name) != 0; }
  const std::vector<std::string> &all(const std::string &name) const;
  std::string get(const std::string &name, const std::string &otherwise = "") const;
  /// Numbers in [low, high]; |out| keeps its value when the option is absent.
  Status integer(const std::string &name, int64_t low, int64_t high, int64_t &out) const;
  Status number(const std::string &name, double low, double high, double &out) const;
  /// Comma-separated whole numbers.
  Status list(const std::string &name, std::vector<int64_t> &out) const;
  bool json() const { return has("json"); }
  bool help() const { return has("help"); }

private:
  std::vector<std::string> arguments_;
  std::map<std::string, std::vector<std::string>> values_;
};

void printHelp(const CommandSpec &command);
bool parseInteger(const std::string &text, int64_t &out);

} // namespace moe
#endif // MOE_RUN_OPTIONS_H
