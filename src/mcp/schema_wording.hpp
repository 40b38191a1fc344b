#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace awm::mcp {

/// Says in words what is wrong with `instance`, which is known not to match `schema`. One violation is one sentence,
/// several are a list: misspelt names first, then what is missing, then wrong types, wrong values, and unknown names.
/// Never empty.
///
/// Knows: type, enum, const, minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf, minLength, maxLength,
/// pattern, minItems, maxItems, uniqueItems, items, required, properties, additionalProperties, allOf, anyOf, oneOf
/// (told apart by type), and $ref inside the document. A violation of anything else is reported in general terms.
std::string describe_violations(const nlohmann::json& schema, const nlohmann::json& instance);

/// What `schema` allows: "a number from 0 to 1", "one of \"low\", \"high\"", "an array of strings".
std::string describe_allowed(const nlohmann::json& schema);

}  // namespace awm::mcp
