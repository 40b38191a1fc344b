#pragma once
// A question to the client, in the form that both eras share: a method and its params. And what an elicitation's answer
// means.

#include "mcp/jsonrpc.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace awm::mcp {

/// `elicitation/create`, `sampling/createMessage` or `roots/list`.
struct question {
  /// Names it among the questions of its request, where the era has names. Empty: numbered in the order of asking.
  std::string key;
  std::string method;
  nlohmann::json params;
};

/// A form for the person. `requested_schema` is a flat JSON Schema of an object with members of simple types.
question form_question(std::string words, nlohmann::json requested_schema, std::string key = {});

/// A page that the person is to open (since 2025-11-25). `id` names it in `notifications/elicitation/complete` and in
/// the error `rpc_code::url_elicitation_required`, both of the legacy era.
question url_question(std::string words, std::string url, std::string id, std::string key = {});

/// The client capabilities that the question needs, in the form in which a client declares them.
nlohmann::json required_capabilities(const question& asked);

/// Whether a client that declared `capabilities` takes the question. `elicitation: {}` is for forms.
bool declares(const nlohmann::json& capabilities, const question& asked);

/// The answer to an elicitation (MCP 2025-06-18 and newer).
struct elicitation {
  enum class action {
    accept,       ///< the person filled the form in, or agreed to open the page
    decline,      ///< the person said no
    cancel,       ///< the person closed it without a choice
    unavailable,  ///< nobody was asked, or the answer is unusable
  };
  action what = action::unavailable;
  nlohmann::json content = nullptr;  ///< an accepted form: an object, not checked against the form's schema; else null
  std::string error;                 ///< unavailable: why, for a log or a model
};

/// What the client's answer means; anything but a well-formed result is `unavailable`.
elicitation read_elicitation(const question& asked, rpc_outcome answer);

/// The legacy era's error for a request that cannot be served before the person has opened these pages, each a
/// `url_question`.
rpc_error url_elicitation_required(const std::vector<question>& pages);

}  // namespace awm::mcp
