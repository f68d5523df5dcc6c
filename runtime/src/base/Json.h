// Json.h - a small JSON reader and writer (RFC 8259): strict, with a depth limit, no exceptions, no dependencies.
#ifndef MOE_BASE_JSON_H
#define MOE_BASE_JSON_H

#include "base/Status.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace moe {

class Json {
public:
  enum Kind { Null, Bool, Integer, Number, String, Array, Object };

  /// Parses a whole text. Errors say line and column. Duplicate keys, comments and trailing text are errors.
  static Status parse(std::string_view text, Json &out);

  Kind kind() const { return kind_; }
  bool isBool() const { return kind_ == Bool; }
  bool isString() const { return kind_ == String; }
  bool isArray() const { return kind_ == Array; }
  bool isObject() const { return kind_ == Object; }
  bool isInteger() const { return kind_ == Integer; }
  bool isNull() const { return kind_ == Null; }
  /// What this is, for messages: "\"text\"", "7", "an array of 3".
  std::string describe() const;

  bool boolean() const { return integer_ != 0; }
  int64_t integer() const { return integer_; }
  double number() const { return kind_ == Integer ? double(integer_) : number_; }
  const std::string &string() const { return string_; }
  const std::vector<Json> &array() const { return array_; }
  const std::vector<std::pair<std::string, Json>> &object() const { return object_; }
  /// The member of this name, or nullptr (also when this is no object).
  const Json *find(std::string_view key) const;

private:
  friend class JsonParser;
  Kind kind_ = Null;
  int64_t integer_ = 0;
  double number_ = 0;
  std::string string_;
  std::vector<Json> array_;
  std::vector<std::pair<std::string, Json>> object_;
};

/// Appends JSON text to a string. Commas set themselves; numbers that JSON cannot say (NaN, infinity) become null.
class JsonWriter {
public:
  JsonWriter &beginObject() { return open('{'); }
  JsonWriter &endObject() { return close('}'); }
  JsonWriter &beginArray() { return open('['); }
  JsonWriter &endArray() { return close(']'); }
  JsonWriter &key(std::string_view name);
  JsonWriter &value(std::string_view text);
  JsonWriter &value(const char *text) { return value(std::string_view(text)); }
  JsonWriter &value(const std::string &text) { return value(std::string_view(text)); }
  JsonWriter &value(double number);
  JsonWriter &value(int64_t number);
  JsonWriter &value(size_t number) { return value(int64_t(number)); }
  JsonWriter &value(bool flag);
  JsonWriter &null();
  const std::string &text() const { return text_; }

private:
  void separate();
  void quote(std::string_view text);
  JsonWriter &open(char bracket);
  JsonWriter &close(char bracket);
  std::string text_;
};

} // namespace moe
#endif // MOE_BASE_JSON_H
