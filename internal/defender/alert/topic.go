package alert

import (
	"fmt"
	"slices"
	"strings"
)

// MaxTopic is longer than any ARN of an SNS topic, whose name has up to 256
// characters.
const MaxTopic = 512

// IsTopic reports whether the text is the ARN of an SNS topic.
func IsTopic(arn string) bool {
	parts := strings.Split(arn, ":")
	return len(arn) <= MaxTopic && len(parts) == 6 && parts[0] == "arn" && parts[2] == "sns" && parts[3] != "" && parts[5] != ""
}

// CheckTopic says whether the text is the ARN of an SNS topic.
func CheckTopic(arn string) error {
	if !IsTopic(arn) {
		return fmt.Errorf("%.100q is not the ARN of an SNS topic, such as arn:aws:sns:eu-west-1:123456789012:alarms", arn)
	}
	return nil
}

// Topics are the SNS topics that profiles may name: ARNs, of which the last character
// may be a * that stands for the rest of a name.
type Topics []string

// Check says what is wrong with the list.
func (t Topics) Check() error {
	for _, topic := range t {
		if !IsTopic(topic) || strings.Contains(strings.TrimSuffix(topic, "*"), "*") || strings.Contains(topic[:strings.LastIndex(topic, ":")], "*") {
			return fmt.Errorf("%.100q is not the ARN of an SNS topic: want one such as arn:aws:sns:eu-west-1:123456789012:alarms, where the name may end with *", topic)
		}
	}
	return nil
}

// Allow reports whether the topic is one of them.
func (t Topics) Allow(topic string) bool {
	return IsTopic(topic) && slices.ContainsFunc(t, func(allowed string) bool {
		beginning, pattern := strings.CutSuffix(allowed, "*")
		return topic == allowed || pattern && strings.HasPrefix(topic, beginning)
	})
}
