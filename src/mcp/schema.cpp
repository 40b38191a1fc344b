#include "mcp/schema.hpp"

#include "mcp/schema_wording.hpp"

#include <nlohmann/json.hpp>

// Without this a schema that is none ends the process instead of being an exception.
#define VALIJSON_USE_EXCEPTIONS 1
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>

#include <cstddef>
#include <stdexcept>
#include <utility>

namespace awm::mcp {
namespace {

using nlohmann::json;

constexpr std::size_t max_patterned_length = 4096;

void require_bounded_patterns(const json& node) {
  if (node.is_object() && node.contains("pattern") && node["pattern"].is_string()) {
    const auto limit = node.find("maxLength");
    const bool bounded = limit != node.end() && limit->is_number_integer() && *limit <= max_patterned_length;
    if (!bounded) throw std::invalid_argument("a schema's pattern needs a maxLength of at most 4096: " + node.dump());
  }
  if (!node.is_structured()) return;
  for (const json& child : node) require_bounded_patterns(child);
}

}  // namespace

struct schema::compiled {
  explicit compiled(json source) : document(std::move(source)) {
    require_bounded_patterns(document);
    try {
      valijson::SchemaParser parser;
      const valijson::adapters::NlohmannJsonAdapter adapter(document);
      parser.populateSchema(adapter, rules);
    } catch (const std::exception& error) {
      throw std::invalid_argument("not a JSON schema: " + std::string(error.what()));
    }
  }

  json document;
  valijson::Schema rules;
  valijson::Validator validator;  // keeps the compiled patterns
};

schema::schema(json document) : compiled_(std::make_shared<compiled>(std::move(document))) {}

const json& schema::document() const {
  return compiled_->document;
}

std::optional<std::string> schema::violation(const json& instance) const {
  // Without a list for its messages valijson stops at the first violation; maxLength comes before pattern.
  const valijson::adapters::NlohmannJsonAdapter adapter(instance);
  if (compiled_->validator.validate(compiled_->rules, adapter, nullptr)) return std::nullopt;
  return describe_violations(compiled_->document, instance);
}

}  // namespace awm::mcp
