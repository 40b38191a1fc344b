#pragma once
// The schema that a tool publishes is the one that checks its input: one document, read by the client's model and by
// valijson.

#include <nlohmann/json_fwd.hpp>

#include <memory>
#include <optional>
#include <string>

namespace awm::mcp {

/// A compiled JSON Schema. Cheap to copy.
class schema {
 public:
  /// Throws `std::invalid_argument` when `document` is no usable schema. A `pattern` needs a `maxLength` of at most
  /// 4096 beside it: std::regex, which valijson matches with, recurses once a character and would overflow the stack.
  explicit schema(nlohmann::json document);

  const nlohmann::json& document() const;

  /// Nothing when `instance` is valid. Otherwise a text for a model, all violations in it, the most useful first: the
  /// field by its path ("options.temperature"), the value, and what is allowed. Valijson alone decides about validity.
  std::optional<std::string> violation(const nlohmann::json& instance) const;

 private:
  struct compiled;
  std::shared_ptr<compiled> compiled_;
};

}  // namespace awm::mcp
