#include "mcp/question.hpp"

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

bool is_about_a_page(const question& asked) {
  return asked.params.value("mode", "form") == "url";
}

}  // namespace

question form_question(std::string words, json requested_schema, std::string key) {
  // `mode` is left out: form is the default, and older clients do not know it.
  json params = {{"message", std::move(words)}, {"requestedSchema", std::move(requested_schema)}};
  return {std::move(key), "elicitation/create", std::move(params)};
}

question url_question(std::string words, std::string url, std::string id, std::string key) {
  json params = {
      {"mode", "url"}, {"message", std::move(words)}, {"url", std::move(url)}, {"elicitationId", std::move(id)}};
  return {std::move(key), "elicitation/create", std::move(params)};
}

json required_capabilities(const question& asked) {
  if (asked.method == "roots/list") return {{"roots", json::object()}};
  if (asked.method == "sampling/createMessage") return {{"sampling", json::object()}};
  json modes = json::object();
  if (is_about_a_page(asked)) modes["url"] = json::object();
  return {{"elicitation", std::move(modes)}};
}

bool declares(const json& capabilities, const question& asked) {
  const json required = required_capabilities(asked);
  const std::string& name = required.begin().key();
  const auto declared = capabilities.is_object() ? capabilities.find(name) : capabilities.end();
  if (declared == capabilities.end() || !declared->is_object()) return false;
  if (name != "elicitation") return true;
  if (is_about_a_page(asked)) return declared->contains("url");
  return declared->empty() || declared->contains("form");
}

elicitation read_elicitation(const question& asked, rpc_outcome answer) {
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
  if (is_about_a_page(asked)) return {action::accept, nullptr, ""};
  json content = result.value("content", json());
  if (!content.is_object()) return unusable("the accepted content must be an object, not " + quoted(content));
  return {action::accept, std::move(content), ""};
}

rpc_error url_elicitation_required(const std::vector<question>& pages) {
  json elicitations = json::array();
  for (const question& page : pages) elicitations.push_back(page.params);
  return {rpc_code::url_elicitation_required, "The user has to open a page first",
          json{{"elicitations", std::move(elicitations)}}};
}

}  // namespace awm::mcp
