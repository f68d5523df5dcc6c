// Status.h - outcomes inside the runtime: a code and one sentence, passed by value. No exceptions.
#ifndef MOE_BASE_STATUS_H
#define MOE_BASE_STATUS_H

#include "moe/runtime.h"

#include <cstdarg>
#include <cstdio>
#include <string>

namespace moe {

class [[nodiscard]] Status {
public:
  Status() = default;
  Status(moe_status_code_t code, std::string message) : code_(code), message_(std::move(message)) {}
  bool ok() const { return code_ == MOE_OK; }
  moe_status_code_t code() const { return code_; }
  const std::string &message() const { return message_; }

private:
  moe_status_code_t code_ = MOE_OK;
  std::string message_;
};

/// printf into a string.
[[gnu::format(printf, 1, 2)]] inline std::string format(const char *pattern, ...) {
  va_list arguments, again;
  va_start(arguments, pattern);
  va_copy(again, arguments);
  int size = vsnprintf(nullptr, 0, pattern, arguments);
  va_end(arguments);
  std::string text(size > 0 ? size : 0, '\0');
  if (size > 0)
    vsnprintf(text.data(), text.size() + 1, pattern, again);
  va_end(again);
  return text;
}

} // namespace moe

#define MOE_RETURN_IF_ERROR(expression)                                                                                \
  do {                                                                                                                 \
    if (::moe::Status moe_status_ = (expression); !moe_status_.ok())                                                   \
      return moe_status_;                                                                                              \
  } while (0)

#endif // MOE_BASE_STATUS_H
