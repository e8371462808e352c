package cloud

import (
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// actionParamsOf converts an answer of the SDK.
func actionParamsOf(p *types.MitigationActionParams) (out profile.ActionParams) {
	if p == nil {
		return out
	}
	if v := p.UpdateDeviceCertificateParams; v != nil {
		out.UpdateDeviceCertificate = &profile.UpdateCertificateParams{Action: string(v.Action)}
	}
	if v := p.UpdateCACertificateParams; v != nil {
		out.UpdateCACertificate = &profile.UpdateCertificateParams{Action: string(v.Action)}
	}
	if v := p.AddThingsToThingGroupParams; v != nil {
		out.AddThingsToThingGroup = &profile.AddThingsToThingGroupParams{ThingGroupNames: v.ThingGroupNames, OverrideDynamicGroups: v.OverrideDynamicGroups}
	}
	if v := p.ReplaceDefaultPolicyVersionParams; v != nil {
		out.ReplaceDefaultPolicyVersion = &profile.ReplaceDefaultPolicyVersionParams{TemplateName: string(v.TemplateName)}
	}
	if v := p.EnableIoTLoggingParams; v != nil {
		out.EnableIoTLogging = &profile.EnableIoTLoggingParams{RoleARNForLogging: aws.ToString(v.RoleArnForLogging), LogLevel: string(v.LogLevel)}
	}
	if v := p.PublishFindingToSnsParams; v != nil {
		out.PublishFindingToSNS = &profile.PublishFindingToSNSParams{TopicARN: aws.ToString(v.TopicArn)}
	}
	return out
}

// actionParamsTo converts to what the SDK sends.
func actionParamsTo(p profile.ActionParams) *types.MitigationActionParams {
	out := &types.MitigationActionParams{}
	if v := p.UpdateDeviceCertificate; v != nil {
		out.UpdateDeviceCertificateParams = &types.UpdateDeviceCertificateParams{Action: types.DeviceCertificateUpdateAction(v.Action)}
	}
	if v := p.UpdateCACertificate; v != nil {
		out.UpdateCACertificateParams = &types.UpdateCACertificateParams{Action: types.CACertificateUpdateAction(v.Action)}
	}
	if v := p.AddThingsToThingGroup; v != nil {
		out.AddThingsToThingGroupParams = &types.AddThingsToThingGroupParams{ThingGroupNames: v.ThingGroupNames, OverrideDynamicGroups: v.OverrideDynamicGroups}
	}
	if v := p.ReplaceDefaultPolicyVersion; v != nil {
		out.ReplaceDefaultPolicyVersionParams = &types.ReplaceDefaultPolicyVersionParams{TemplateName: types.PolicyTemplateName(v.TemplateName)}
	}
	if v := p.EnableIoTLogging; v != nil {
		out.EnableIoTLoggingParams = &types.EnableIoTLoggingParams{RoleArnForLogging: aws.String(v.RoleARNForLogging), LogLevel: types.LogLevel(v.LogLevel)}
	}
	if v := p.PublishFindingToSNS; v != nil {
		out.PublishFindingToSnsParams = &types.PublishFindingToSnsParams{TopicArn: aws.String(v.TopicARN)}
	}
	return out
}

// sameParams reports whether two actions do the same. An answer of AWS may say
// false where the document says nothing.
func sameParams(a, b profile.ActionParams) bool {
	for _, p := range []*profile.ActionParams{&a, &b} {
		if p.AddThingsToThingGroup != nil {
			groups := *p.AddThingsToThingGroup
			groups.OverrideDynamicGroups = aws.Bool(aws.ToBool(groups.OverrideDynamicGroups))
			groups.ThingGroupNames = slices.Sorted(slices.Values(groups.ThingGroupNames))
			p.AddThingsToThingGroup = &groups
		}
	}
	return reflect.DeepEqual(a, b)
}

// describeParams says what an action does.
func describeParams(p profile.ActionParams) string {
	switch {
	case p.AddThingsToThingGroup != nil:
		text := "add things to " + strings.Join(p.AddThingsToThingGroup.ThingGroupNames, ", ")
		if aws.ToBool(p.AddThingsToThingGroup.OverrideDynamicGroups) {
			text += ", out of dynamic groups if need be"
		}
		return text
	case p.UpdateDeviceCertificate != nil:
		return "deactivate the device certificate"
	case p.UpdateCACertificate != nil:
		return "deactivate the CA certificate"
	case p.ReplaceDefaultPolicyVersion != nil:
		return "replace the policy by a blank one"
	case p.EnableIoTLogging != nil:
		return "turn logging on at level " + p.EnableIoTLogging.LogLevel
	case p.PublishFindingToSNS != nil:
		return "publish the finding to " + p.PublishFindingToSNS.TopicARN
	}
	return "nothing"
}
