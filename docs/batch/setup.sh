#!/bin/sh
# Creates the resources that flows on AWS Batch need, in the account and region of `aws`, and prints the settings.
# usage: setup.sh BUCKET SUBNET[,SUBNET...] SECURITY_GROUP [FARGATE|FARGATE_SPOT|EC2|SPOT]
# The subnets must reach the internet, or have endpoints for S3, ECR, CloudWatch Logs and (EC2) ECS. The caller must be allowed to create roles.
set -eu
bucket=$1 subnets=$2 group=$3 kind=${4:-FARGATE}
here=$(cd "$(dirname "$0")" && pwd)
account=$(aws sts get-caller-identity --query Account --output text)

trusted_by() { # a role that a service may assume
  printf '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"%s"},"Action":"sts:AssumeRole"}]}' "$1"
}
# The policy beside this script, with this bucket and account.
policy() {
  sed -e "s/my-bucket/$bucket/; s/123456789012:role\/tasks/$account:role\/metaflow-tasks/; s/123456789012:role\/ecs/$account:role\/metaflow-ecs/" "$here/policy.json"
}

aws s3 mb "s3://$bucket"

# The role of the tasks: only access to the bucket.
aws iam create-role --role-name metaflow-tasks --assume-role-policy-document "$(trusted_by ecs-tasks.amazonaws.com)" >/dev/null
aws iam put-role-policy --role-name metaflow-tasks --policy-name artifacts --policy-document "$(printf '{
  "Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"], "Resource": "arn:aws:s3:::%s/metaflow/*"},
    {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::%s"}]}' "$bucket" "$bucket")"

# The policy for users or groups who start flows.
aws iam create-policy --policy-name metaflow-user --policy-document "$(policy)" >/dev/null

managed=arn:aws:iam::aws:policy/service-role
resources="type=$kind,maxvCpus=64,subnets=$subnets,securityGroupIds=$group"
case $kind in
  FARGATE*) # Fargate fetches images and writes logs with a separate role.
    aws iam create-role --role-name metaflow-ecs --assume-role-policy-document "$(trusted_by ecs-tasks.amazonaws.com)" >/dev/null
    aws iam attach-role-policy --role-name metaflow-ecs --policy-arn $managed/AmazonECSTaskExecutionRolePolicy ;;
  *) # Instances fetch images and write logs with their own role. There are none while the queue is empty.
    aws iam create-role --role-name metaflow-machines --assume-role-policy-document "$(trusted_by ec2.amazonaws.com)" >/dev/null
    aws iam attach-role-policy --role-name metaflow-machines --policy-arn $managed/AmazonEC2ContainerServiceforEC2Role
    aws iam create-instance-profile --instance-profile-name metaflow-machines >/dev/null
    aws iam add-role-to-instance-profile --instance-profile-name metaflow-machines --role-name metaflow-machines
    resources="$resources,minvCpus=0,instanceTypes=optimal,instanceRole=arn:aws:iam::$account:instance-profile/metaflow-machines" ;;
esac

# AWS Batch uses a role that AWS creates; BATCH_SERVICE_ROLE names another one.
aws batch create-compute-environment --compute-environment-name metaflow --type MANAGED --state ENABLED --compute-resources "$resources" \
  ${BATCH_SERVICE_ROLE:+--service-role "$BATCH_SERVICE_ROLE"} >/dev/null
until [ "$(aws batch describe-compute-environments --compute-environments metaflow --query 'computeEnvironments[0].status' --output text)" = VALID ]; do sleep 2; done
aws batch create-job-queue --job-queue-name metaflow --state ENABLED --priority 1 --compute-environment-order order=1,computeEnvironment=metaflow >/dev/null

cat <<END
export METAFLOW_DEFAULT_DATASTORE=s3
export METAFLOW_DATASTORE_SYSROOT_S3=s3://$bucket/metaflow
export METAFLOW_BATCH_JOB_QUEUE=metaflow
export METAFLOW_ECS_S3_ACCESS_IAM_ROLE=arn:aws:iam::$account:role/metaflow-tasks
END
case $kind in FARGATE*) echo "export METAFLOW_ECS_FARGATE_EXECUTION_ROLE=arn:aws:iam::$account:role/metaflow-ecs" ;; esac
