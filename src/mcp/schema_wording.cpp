// Valijson says "Value type not permitted by 'type' constraint." A model that reads this guesses; one that reads
// "options.temperature is 3, but must be a number from 0 to 1" repairs its call. So, once valijson has refused a value,
// schema and value are walked side by side here, for the words only.

#include "mcp/schema_wording.hpp"

#include "mcp/jsonrpc.hpp"
#include "text/words.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <regex>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

namespace awm::mcp {
namespace {

using nlohmann::json;

constexpr std::size_t max_value_bytes = 80;
constexpr std::size_t max_listed = 20;
// A schema that refers to itself ends somewhere.
constexpr int max_depth = 64;

// In the order in which they are told.
enum class rank { misspelt, missing, type, value, unknown };

struct violation {
  mcp::rank rank;
  std::string text;
};

std::string shown(const json& value) {
  return text::shortened(to_text(value), max_value_bytes);
}

std::string quantity(const json& number, std::string_view one, std::string_view many) {
  return to_text(number) + " " + std::string(number == 1 ? one : many);
}

std::vector<std::string> types_of(const json& schema) {
  std::vector<std::string> types;
  const auto found = schema.find("type");
  if (found == schema.end()) return types;
  if (found->is_string()) types.push_back(found->get<std::string>());
  if (found->is_array()) types = found->get<std::vector<std::string>>();
  return types;
}

// As types_of, and what the other keywords speak of where a schema names no type.
std::vector<std::string> meant_types(const json& schema) {
  static const std::vector<std::pair<const char*, const char*>> signs{{"minimum", "number"},
                                                                      {"maximum", "number"},
                                                                      {"exclusiveMinimum", "number"},
                                                                      {"exclusiveMaximum", "number"},
                                                                      {"minLength", "string"},
                                                                      {"maxLength", "string"},
                                                                      {"items", "array"},
                                                                      {"properties", "object"}};
  std::vector<std::string> types = types_of(schema);
  for (const auto& [keyword, type] : signs) {
    if (types.empty() && schema.contains(keyword)) types.emplace_back(type);
  }
  return types;
}

bool has_type(const json& value, const std::string& type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_boolean();
  if (type == "null") return value.is_null();
  if (type == "integer") return value.is_number_integer();
  return value.is_number();
}

bool has_one_of(const json& value, const std::vector<std::string>& types) {
  if (types.empty()) return true;
  return std::any_of(types.begin(), types.end(), [&](const std::string& type) { return has_type(value, type); });
}

// UTF-8 characters, which is what minLength and maxLength count.
std::size_t length_of(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string member_path(const std::string& path, const std::string& name) {
  const bool plain = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  if (!plain) return path + "[" + shown(name) + "]";
  return path.empty() ? name : path + "." + name;
}

std::string subject(const std::string& path) {
  return path.empty() ? "the value" : path;
}

class describer {
 public:
  explicit describer(const json& root) : root_(root) {}

  std::string allowed(const json& schema, int depth = 0) const;
  void check(const json& schema, const json& value, const std::string& path, std::vector<violation>& out,
             int depth) const;

 private:
  const json& resolved(const json& schema) const;
  std::string allowed_type(const json& schema, const std::string& type, int depth) const;
  void check_number(const json& schema, const json& value, const std::string& path, std::vector<violation>& out) const;
  void check_string(const json& schema, const json& value, const std::string& path, std::vector<violation>& out) const;
  void check_array(const json& schema, const json& value, const std::string& path, std::vector<violation>& out,
                   int depth) const;
  void check_object(const json& schema, const json& value, const std::string& path, std::vector<violation>& out,
                    int depth) const;
  void check_unknown(const json& schema, const json& value, const std::string& path, std::vector<violation>& out,
                     int depth) const;
  void check_alternatives(const json& schema, const json& value, const std::string& path, std::vector<violation>& out,
                          int depth) const;
  void refuse(rank how, const json& schema, const json& value, const std::string& path, std::vector<violation>& out,
              int depth) const;

  const json& root_;
};

const json& describer::resolved(const json& schema) const {
  static const json anything = json::object();
  const json* at = &schema;
  for (int hops = 0; hops < max_depth && at->is_object() && at->contains("$ref"); ++hops) {
    const json& reference = (*at)["$ref"];
    if (!reference.is_string() || reference.get_ref<const std::string&>().rfind('#', 0) != 0) return anything;
    try {
      at = &root_.at(json::json_pointer(reference.get<std::string>().substr(1)));
    } catch (const json::exception&) {
      return anything;
    }
  }
  return at->is_object() ? *at : anything;
}

std::string range_words(const json& schema) {
  const auto at = [&](const char* key) { return schema.contains(key) && schema[key].is_number(); };
  std::string low;
  if (at("minimum")) low = to_text(schema["minimum"]);
  if (at("minimum") && at("maximum")) return " from " + low + " to " + to_text(schema["maximum"]);
  std::vector<std::string> parts;
  if (at("minimum")) parts.push_back("at least " + low);
  if (at("exclusiveMinimum")) parts.push_back("greater than " + to_text(schema["exclusiveMinimum"]));
  if (at("maximum")) parts.push_back("at most " + to_text(schema["maximum"]));
  if (at("exclusiveMaximum")) parts.push_back("less than " + to_text(schema["exclusiveMaximum"]));
  if (parts.empty()) return "";
  return (parts.front().rfind("at", 0) == 0 ? " of " : " ") + text::joined(parts, " and ");
}

std::string count_words(const json& schema, const char* least, const char* most, std::string_view one,
                        std::string_view many) {
  const bool has_least = schema.contains(least) && schema[least] != 0;
  const bool has_most = schema.contains(most);
  if (has_least && has_most) {
    return " of " + to_text(schema[least]) + " to " + quantity(schema[most], one, many);
  }
  if (has_least) return " of at least " + quantity(schema[least], one, many);
  if (has_most) return " of at most " + quantity(schema[most], one, many);
  return "";
}

std::string string_words(const json& schema) {
  std::string words;
  if (schema.value("minLength", json(0)) == 1 && !schema.contains("maxLength")) {
    words = "a non-empty string";
  } else {
    words = "a string" + count_words(schema, "minLength", "maxLength", "character", "characters");
  }
  if (schema.contains("pattern")) words += " that matches the pattern " + schema["pattern"].get<std::string>();
  return words;
}

std::string describer::allowed_type(const json& schema, const std::string& type, int depth) const {
  if (type == "boolean") return "true or false";
  if (type == "null") return "null";
  if (type == "string") return string_words(schema);
  if (type == "integer" || type == "number") {
    std::string words = type == "integer" ? "an integer" : "a number";
    words += range_words(schema);
    if (schema.contains("multipleOf")) words += ", a multiple of " + to_text(schema["multipleOf"]);
    return words;
  }
  if (type == "array") {
    const bool described = schema.contains("items") && schema["items"].is_object();
    const std::string item = described ? allowed(schema["items"], depth + 1) : "";
    if (item == "a string") {
      const std::string count = count_words(schema, "minItems", "maxItems", "string", "strings");
      return "an array" + (count.empty() ? " of strings" : count);
    }
    const std::string words = "an array" + count_words(schema, "minItems", "maxItems", "item", "items");
    return item.empty() ? words : words + ", each item " + item;
  }
  if (!schema.contains("properties") || !schema["properties"].is_object()) return "an object";
  std::vector<std::string> names;
  for (const auto& [name, unused] : schema["properties"].items()) names.push_back(name);
  return "an object with the fields " + text::joined(names);
}

std::string describer::allowed(const json& unresolved, int depth) const {
  const json& schema = resolved(unresolved);
  if (depth > max_depth) return "a valid value";
  if (schema.contains("const")) return to_text(schema["const"]);
  if (schema.contains("enum")) {
    std::vector<std::string> values;
    for (const json& value : schema["enum"]) values.push_back(to_text(value));
    return values.size() == 1 ? values.front() : "one of " + text::joined(values);
  }
  std::vector<std::string> kinds;
  for (const std::string& type : meant_types(schema)) kinds.push_back(allowed_type(schema, type, depth));
  if (kinds.empty()) {
    for (const char* const key : {"anyOf", "oneOf"}) {
      if (!schema.contains(key)) continue;
      for (const json& branch : schema[key]) kinds.push_back(allowed(branch, depth + 1));
    }
  }
  return kinds.empty() ? "a valid value" : text::joined(kinds, ", or ");
}

void describer::refuse(rank how, const json& schema, const json& value, const std::string& path,
                       std::vector<violation>& out, int depth) const {
  out.push_back({how, subject(path) + " is " + shown(value) + ", but must be " + allowed(schema, depth)});
}

void describer::check_number(const json& schema, const json& value, const std::string& path,
                             std::vector<violation>& out) const {
  const auto breaks = [&](const char* key, auto compare) {
    return schema.contains(key) && schema[key].is_number() && compare(value, schema[key]);
  };
  bool wrong = breaks("minimum", [](const json& v, const json& limit) { return v < limit; }) ||
               breaks("maximum", [](const json& v, const json& limit) { return v > limit; }) ||
               breaks("exclusiveMinimum", [](const json& v, const json& limit) { return v <= limit; }) ||
               breaks("exclusiveMaximum", [](const json& v, const json& limit) { return v >= limit; });
  wrong = wrong || breaks("multipleOf", [](const json& v, const json& step) {
            return std::remainder(v.get<double>(), step.get<double>()) != 0.0;
          });
  if (wrong) refuse(rank::value, schema, value, path, out, 0);
}

void describer::check_string(const json& schema, const json& value, const std::string& path,
                             std::vector<violation>& out) const {
  const auto& text = value.get_ref<const std::string&>();
  const std::size_t length = length_of(text);
  const bool too_short = schema.contains("minLength") && length < schema["minLength"].get<std::size_t>();
  const bool too_long = schema.contains("maxLength") && length > schema["maxLength"].get<std::size_t>();
  if (too_short && length == 0) {
    out.push_back({rank::value, subject(path) + " is empty, but must be " + allowed(schema)});
  } else if (too_short || too_long) {
    out.push_back({rank::value, subject(path) + " is " + shown(value) + ", " +
                                    quantity(length, "character", "characters") + " long, but must be " +
                                    allowed(schema)});
  } else if (schema.contains("pattern") &&
             !std::regex_search(text, std::regex(schema["pattern"].get<std::string>(), std::regex::ECMAScript))) {
    refuse(rank::value, schema, value, path, out, 0);
  }
}

void describer::check_array(const json& schema, const json& value, const std::string& path, std::vector<violation>& out,
                            int depth) const {
  const bool too_few = schema.contains("minItems") && value.size() < schema["minItems"].get<std::size_t>();
  const bool too_many = schema.contains("maxItems") && value.size() > schema["maxItems"].get<std::size_t>();
  if (too_few || too_many) {
    out.push_back({rank::value, subject(path) + " has " + quantity(value.size(), "item", "items") + ", but must be " +
                                    allowed(schema, depth)});
  }
  if (schema.value("uniqueItems", json(false)) == true &&
      std::set<json>(value.begin(), value.end()).size() < value.size()) {
    out.push_back({rank::value, subject(path) + " holds an item twice, but its items must differ"});
  }
  const auto items = schema.find("items");
  if (items == schema.end() || !items->is_object()) return;
  for (std::size_t i = 0; i < value.size(); ++i) {
    check(*items, value[i], path + "[" + std::to_string(i) + "]", out, depth + 1);
  }
}

void describer::check_unknown(const json& schema, const json& value, const std::string& path,
                              std::vector<violation>& out, int depth) const {
  const auto extra = schema.find("additionalProperties");
  if (extra == schema.end()) return;
  std::vector<std::string> known;
  if (schema.contains("properties")) {
    for (const auto& [name, unused] : schema["properties"].items()) known.push_back(name);
  }
  for (const auto& [name, member] : value.items()) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    const std::string where = member_path(path, name);
    if (extra->is_object()) check(*extra, member, where, out, depth + 1);
    if (*extra != false) continue;
    const std::string meant = text::nearest(name, known);
    std::string message = where + " is not known";
    if (!meant.empty()) message += "; did you mean " + member_path(path, meant) + "?";
    message += (meant.empty() ? ". Known: " : " Known: ") + (known.empty() ? "none" : text::joined(known));
    out.push_back({meant.empty() ? rank::unknown : rank::misspelt, std::move(message)});
  }
}

void describer::check_object(const json& schema, const json& value, const std::string& path,
                             std::vector<violation>& out, int depth) const {
  static const json none = json::object();
  const json& properties = schema.contains("properties") ? schema["properties"] : none;
  if (schema.contains("required")) {
    for (const json& item : schema["required"]) {
      const auto& name = item.get_ref<const std::string&>();
      if (value.contains(name)) continue;
      std::string text = member_path(path, name) + " is missing; it is required";
      if (properties.contains(name)) text += ": " + allowed(properties[name], depth + 1);
      out.push_back({rank::missing, std::move(text)});
    }
  }
  for (const auto& [name, member] : properties.items()) {
    const auto found = value.find(name);
    if (found != value.end()) check(member, *found, member_path(path, name), out, depth + 1);
  }
  check_unknown(schema, value, path, out, depth);
}

// Of the alternatives only those of the value's own type are worth words; if there is none, all of them are.
void describer::check_alternatives(const json& schema, const json& value, const std::string& path,
                                   std::vector<violation>& out, int depth) const {
  for (const char* const key : {"anyOf", "oneOf"}) {
    if (!schema.contains(key)) continue;
    std::vector<std::vector<violation>> of_same_type;
    std::size_t fitting = 0;
    std::vector<std::string> kinds;
    for (const json& branch : schema[key]) {
      kinds.push_back(allowed(branch, depth + 1));
      std::vector<violation> found;
      check(branch, value, path, found, depth + 1);
      if (found.empty()) ++fitting;
      if (has_one_of(value, types_of(resolved(branch)))) of_same_type.push_back(std::move(found));
    }
    if (fitting > 1 && std::string_view(key) == "oneOf") {
      out.push_back(
          {rank::value, subject(path) + " is " + shown(value) +
                            ", which fits more than one of the forms it may have: " + text::joined(kinds, ", or ")});
    }
    if (fitting > 0) continue;
    if (of_same_type.size() != 1) {
      out.push_back(
          {rank::type, subject(path) + " is " + shown(value) + ", but must be " + text::joined(kinds, ", or ")});
    } else {
      out.insert(out.end(), of_same_type.front().begin(), of_same_type.front().end());
    }
  }
}

void describer::check(const json& unresolved, const json& value, const std::string& path, std::vector<violation>& out,
                      int depth) const {
  if (depth > max_depth) return;
  const json& schema = resolved(unresolved);
  if (!has_one_of(value, types_of(schema))) return refuse(rank::type, schema, value, path, out, depth);
  if (schema.contains("const") && value != schema["const"]) return refuse(rank::value, schema, value, path, out, depth);
  if (schema.contains("enum")) {
    const json& values = schema["enum"];
    if (std::find(values.begin(), values.end(), value) == values.end()) {
      return refuse(rank::value, schema, value, path, out, depth);
    }
  }
  if (value.is_number()) check_number(schema, value, path, out);
  if (value.is_string()) check_string(schema, value, path, out);
  if (value.is_array()) check_array(schema, value, path, out, depth);
  if (value.is_object()) check_object(schema, value, path, out, depth);
  if (schema.contains("allOf")) {
    for (const json& part : schema["allOf"]) check(part, value, path, out, depth + 1);
  }
  check_alternatives(schema, value, path, out, depth);
}

}  // namespace

std::string describe_violations(const json& schema, const json& instance) {
  std::vector<violation> found;
  describer(schema).check(schema, instance, "", found, 0);
  if (found.empty()) return "the value " + shown(instance) + " does not match the schema";
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.rank < b.rank; });
  if (found.size() == 1) return found.front().text;
  std::string out;
  for (std::size_t i = 0; i < std::min(found.size(), max_listed); ++i) out += "\n- " + found[i].text;
  if (found.size() > max_listed) out += "\n- and " + std::to_string(found.size() - max_listed) + " more";
  return out;
}

std::string describe_allowed(const json& schema) {
  return describer(schema).allowed(schema);
}

}  // namespace awm::mcp
