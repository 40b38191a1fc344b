#include "mcp/elicitation.hpp"

#include "text/words.hpp"

#include <map>
#include <string_view>
#include <utility>
#include <variant>

namespace awm::mcp {
namespace {

using nlohmann::json;
using action = elicitation::action;

// Enough of a client's words for a log line.
constexpr std::size_t longest_quote = 200;

elicitation unusable(const std::string& why) {
  return {action::unavailable, nullptr, "the client's answer to elicitation/create is unusable: " + why};
}

std::string quoted(const json& value) {
  return text::shortened(to_text(value), longest_quote);
}

}  // namespace

bool takes_forms(const json& capabilities) {
  if (!capabilities.is_object()) return false;
  const auto declared = capabilities.find("elicitation");
  if (declared == capabilities.end() || !declared->is_object()) return false;
  return declared->empty() || declared->contains("form");
}

json elicitation_params(std::string words, json requested_schema) {
  return {{"message", std::move(words)}, {"requestedSchema", std::move(requested_schema)}};
}

elicitation read_elicitation(rpc_outcome answer) {
  if (const auto* const error = std::get_if<rpc_error>(&answer)) {
    return {action::unavailable, nullptr,
            "elicitation/create failed with error " + std::to_string(error->code) + ": " +
                text::shortened(error->message, longest_quote)};
  }
  json& result = std::get<json>(answer);
  if (!result.is_object()) return unusable("the result must be an object, not " + quoted(result));
  static const std::map<std::string, action, std::less<>> actions{
      {"accept", action::accept}, {"decline", action::decline}, {"cancel", action::cancel}};
  const json word = result.value("action", json());
  const auto found = word.is_string() ? actions.find(word.get_ref<const std::string&>()) : actions.end();
  if (found == actions.end()) return unusable("action must be accept, decline or cancel, not " + quoted(word));
  if (found->second != action::accept) return {found->second, nullptr, ""};
  json content = result.value("content", json());
  if (!content.is_object()) return unusable("the accepted content must be an object, not " + quoted(content));
  return {action::accept, std::move(content), ""};
}

}  // namespace awm::mcp
