// Test.h - a small harness: TEST(name) { EXPECT(...); }. Prints failures and, last, "N passed, N failed".
#ifndef MOE_CTS_TEST_H
#define MOE_CTS_TEST_H

#include "base/Status.h"

#include <string>
#include <vector>

namespace moe::cts {

struct Case {
  const char *name;
  void (*run)();
};
std::vector<Case> &cases();
extern bool failed; // of the running test
/// A folder of this test's own; removed at the end.
std::string scratchFolder();

struct Register {
  Register(const char *name, void (*run)()) { cases().push_back({name, run}); }
};

inline std::string show(const std::string &value) { return "\"" + value + "\""; }
inline std::string show(const char *value) { return show(std::string(value)); }
inline std::string show(bool value) { return value ? "true" : "false"; }
inline std::string show(double value) { return format("%.9g", value); }
template <typename T> std::string show(const T &value) {
  if constexpr (std::is_floating_point_v<T>) {
    return show(double(value));
  } else if constexpr (std::is_enum_v<T> || std::is_integral_v<T>) {
    return std::to_string((long long)value);
  } else {
    std::string text = "[";
    for (const auto &element : value)
      text += (text.size() > 1 ? ", " : "") + show(element);
    return text + "]";
  }
}

inline void fail(const char *file, int line, const std::string &what) {
  fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
  failed = true;
}
template <typename A, typename B>
void expectEqual(const char *file, int line, const char *text, const A &found, const B &expected) {
  if (!(found == expected))
    fail(file, line, std::string(text) + ": expected " + show(expected) + ", found " + show(found));
}
inline void expectHas(const char *file, int line, const std::string &text, const std::string &part) {
  if (text.find(part) == std::string::npos)
    fail(file, line, "expected a text with \"" + part + "\", found \"" + text + "\"");
}

} // namespace moe::cts

#define TEST(name)                                                                                                     \
  static void name();                                                                                                  \
  static ::moe::cts::Register register_##name(#name, name);                                                            \
  static void name()
#define EXPECT(condition)                                                                                              \
  do {                                                                                                                 \
    if (!(condition))                                                                                                  \
      ::moe::cts::fail(__FILE__, __LINE__, "expected " #condition);                                                    \
  } while (0)
#define EXPECT_EQ(found, expected) ::moe::cts::expectEqual(__FILE__, __LINE__, #found, found, expected)
#define EXPECT_HAS(text, part) ::moe::cts::expectHas(__FILE__, __LINE__, text, part)
#define EXPECT_OK(expression)                                                                                          \
  do {                                                                                                                 \
    if (auto status_ = (expression); !status_.ok()) {                                                                  \
      ::moe::cts::fail(__FILE__, __LINE__, #expression ": " + status_.message());                                      \
      return;                                                                                                          \
    }                                                                                                                  \
  } while (0)

#endif // MOE_CTS_TEST_H
