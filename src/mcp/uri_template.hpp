#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace awm::mcp {

/// A URI template of RFC 6570, level 1: `worker://{id}/result`. A variable stands for one or more characters but '/',
/// '?' and '#', percent-encoded as in every URI.
class uri_template {
 public:
  /// Throws `std::invalid_argument` for one with an unfinished or empty expression, an operator (level 2 and above),
  /// a variable twice, or two variables without text between them.
  explicit uri_template(std::string text);

  const std::string& text() const { return text_; }
  const std::vector<std::string>& variables() const { return variables_; }

  /// The decoded values of the variables, or nothing when `uri` is not of this form.
  std::optional<std::map<std::string, std::string>> match(std::string_view uri) const;

 private:
  std::string text_;
  std::vector<std::string> literals_;  // around the variables: one more than these
  std::vector<std::string> variables_;
};

}  // namespace awm::mcp
